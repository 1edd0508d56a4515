-- Also of a job that was canceled meanwhile: its handle is what the work is stopped by.
-- $1: [{id, token, handle}]
UPDATE jobs SET handle = g.value ->> 'handle', updated_at = now_us()
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.work = 'maybe'
RETURNING jobs.id
