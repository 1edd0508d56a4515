-- event: give_up
-- $1 id, $2 claim token, $3 error message, $4 work
UPDATE jobs
SET state = 'FAILED', work = $4, error_message = $3, finished_at = now_us(), updated_at = now_us(), ask_again_at = now_us(),
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
WHERE id = $1 AND claim_token = $2 AND state = 'NEEDS_RECOVERY'
