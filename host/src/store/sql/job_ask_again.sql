-- No answer, no change: the row is asked about again later. $1: [{id, token, delay_us}]
UPDATE jobs SET ask_again_at = now_us() + (g.value ->> 'delay_us')
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state <> 'RUNNING'
RETURNING jobs.id
