-- event: cancel
-- $1 id, $2 reason as JSON
UPDATE jobs
SET state = 'CANCELED', cancel_reason = $2, finished_at = now_us(), updated_at = now_us(), lease_expires_at = NULL, ask_again_at = now_us(),
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
WHERE id = $1 AND state IN ('PENDING', 'RUNNING', 'NEEDS_RECOVERY')
