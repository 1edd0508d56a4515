-- Best effort, latest only; merged by the caller.
-- $1 id, $2 claim token, $3 message, $4 progress as JSON
UPDATE jobs SET status_message = $3, progress = $4, progress_updated_at = now_us(), updated_at = now_us()
WHERE id = $1 AND claim_token = $2 AND state = 'RUNNING'
