-- The executor has shown that nothing of the attempt runs any more. $1: [{id, token}]
UPDATE jobs SET work = 'gone', updated_at = now_us()
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.work = 'maybe'
RETURNING jobs.id
