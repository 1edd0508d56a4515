-- event: cancel
-- $1: [{id, reason}]; answers with what it takes to stop the work.
UPDATE jobs
SET state = 'CANCELED', cancel_reason = g.value ->> 'reason', finished_at = now_us(), updated_at = now_us(), lease_expires_at = NULL, ask_again_at = now_us(),
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.state IN ('PENDING', 'RUNNING', 'NEEDS_RECOVERY')
RETURNING jobs.id
