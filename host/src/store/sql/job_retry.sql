-- event: retry
-- The due time stands in the row and is part of the claim's condition: no replica can be early.
-- $1: [{id, token, delay_us, max_retries}]
UPDATE jobs
SET state = 'PENDING', work = 'none', retry_count = retry_count + 1, due_at = now_us() + (g.value ->> 'delay_us'), updated_at = now_us(),
    claim_token = NULL, attempt_tag = NULL, owner = NULL, lease_expires_at = NULL, started_at = NULL, locality = NULL, handle = NULL, report = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state IN ('RUNNING', 'NEEDS_RECOVERY')
  AND jobs.retry_count < (g.value ->> 'max_retries')
RETURNING jobs.id
