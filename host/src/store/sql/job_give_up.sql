-- event: give_up
-- $1: [{id, token, error_message, work}]
UPDATE jobs
SET state = 'FAILED', work = g.value ->> 'work', error_message = g.value ->> 'error_message', finished_at = now_us(), updated_at = now_us(), ask_again_at = now_us(),
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state = 'NEEDS_RECOVERY'
RETURNING jobs.id
