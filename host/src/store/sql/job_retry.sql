-- event: retry
-- The due time stands in the row and is part of the claim's condition: no replica can be early.
-- $1 id, $2 claim token, $3 delay in microseconds, $4 max retries
UPDATE jobs
SET state = 'PENDING', work = 'none', retry_count = retry_count + 1, crashes = 0, due_at = now_us() + $3, updated_at = now_us(),
    claim_token = NULL, attempt_tag = NULL, owner = NULL, lease_expires_at = NULL, started_at = NULL, locality = NULL, handle = NULL, report = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
WHERE id = $1 AND claim_token = $2 AND state IN ('RUNNING', 'NEEDS_RECOVERY')
  AND retry_count < $4
