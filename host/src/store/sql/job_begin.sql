-- The last look before `submit` is called: canceled or lost meanwhile means no row here.
-- $1: [{id, token, locality}]
UPDATE jobs SET work = 'maybe', locality = g.value ->> 'locality', updated_at = now_us()
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state = 'RUNNING'
RETURNING jobs.id
