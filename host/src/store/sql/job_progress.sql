-- Best effort, latest only; merged by the caller. $1: [{id, token, message, progress}]
UPDATE jobs SET status_message = g.value ->> 'message', progress = g.value ->> 'progress', progress_updated_at = now_us(), updated_at = now_us()
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state = 'RUNNING'
RETURNING jobs.id
