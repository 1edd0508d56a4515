-- event: retry
-- The due time stands in the row and is part of the claim's condition: no replica can be early.
-- The crashes of this attempt, which was found again after each, are kept as job_requeue keeps them.
-- $1 id, $2 claim token, $3 delay in microseconds, $4 max retries, $5 from which crash on a job runs alone
UPDATE jobs
SET state = 'PENDING', work = 'none', retry_count = retry_count + 1, recovery_count = recovery_count + crashes,
    solo_count = solo_count + max(crashes - max($5 - recovery_count, 0), 0), crashes = 0, due_at = now_us() + $3, updated_at = now_us(),
    claim_token = NULL, attempt_tag = NULL, owner = NULL, lease_expires_at = NULL, started_at = NULL, locality = NULL, handle = NULL, report = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
WHERE id = $1 AND claim_token = $2 AND state IN ('RUNNING', 'NEEDS_RECOVERY')
  AND retry_count < $4
