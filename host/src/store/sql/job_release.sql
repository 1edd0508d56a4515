-- event: release
-- `gone` says that the caller has the executor's word for it; without that only untouched work goes back.
-- The attempt does not count: the next claim gives the same number again unless work was begun.
-- $1: [{id, token, delay_us, gone}]
UPDATE jobs
SET state = 'PENDING', attempt = attempt - (work = 'none'), work = 'none', due_at = now_us() + (g.value ->> 'delay_us'), updated_at = now_us(),
    claim_token = NULL, attempt_tag = NULL, owner = NULL, lease_expires_at = NULL, started_at = NULL, locality = NULL, handle = NULL, report = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state IN ('RUNNING')
  AND (jobs.work IN ('none', 'gone') OR g.value ->> 'gone')
RETURNING jobs.id
