-- event: reattach
-- A new claim token shuts out whoever watched before; the attempt tag stays, it names the work.
-- $1: [{id, token, new_token, owner, lease_us}]
UPDATE jobs
SET state = 'RUNNING', claim_token = unhex(g.value ->> 'new_token'), owner = unhex(g.value ->> 'owner'), lease_expires_at = now_us() + (g.value ->> 'lease_us'),
    needs_recovery_at = NULL, ask_again_at = NULL, updated_at = now_us()
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state = 'NEEDS_RECOVERY'
RETURNING jobs.id
