-- event: mark
-- Its own watcher lets go; the executor is asked after the delay. $1: [{id, token, delay_us}]
UPDATE jobs SET state = 'NEEDS_RECOVERY', lease_expires_at = NULL, needs_recovery_at = now_us(), ask_again_at = now_us() + (g.value ->> 'delay_us'), updated_at = now_us()
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state = 'RUNNING'
RETURNING jobs.id
