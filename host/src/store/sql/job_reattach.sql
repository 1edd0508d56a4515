-- event: reattach
-- A new claim token shuts out whoever watched before; the attempt tag stays, it names the work.
-- $1 id, $2 claim token, $3 new claim token, $4 owner, $5 lease in microseconds
UPDATE jobs
SET state = 'RUNNING', claim_token = $3, owner = $4, lease_expires_at = now_us() + $5,
    needs_recovery_at = NULL, ask_again_at = NULL, updated_at = now_us()
WHERE id = $1 AND claim_token = $2 AND state = 'NEEDS_RECOVERY'
