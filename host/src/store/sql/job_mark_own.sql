-- event: mark
-- At its start a replica that still holds its state directory knows that its former self is dead:
-- it does not wait for the leases. $1 owner
UPDATE jobs SET state = 'NEEDS_RECOVERY', lease_expires_at = NULL, needs_recovery_at = now_us(), ask_again_at = now_us(), updated_at = now_us()
WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND state = 'RUNNING' AND owner = $1
RETURNING id
