-- event: renew
-- By listed claim tokens, never by owner. $1: [{id, token, lease_us}]
UPDATE jobs SET lease_expires_at = now_us() + (g.value ->> 'lease_us')
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state = 'RUNNING'
RETURNING jobs.id
