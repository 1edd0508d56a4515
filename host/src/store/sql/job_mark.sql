-- event: mark
-- Its own watcher lets go; the executor is asked after the delay.
-- $1 id, $2 claim token, $3 delay in microseconds, $4 whether what ran it crashed
UPDATE jobs
SET state = 'NEEDS_RECOVERY', crashes = crashes + $4, lease_expires_at = NULL, needs_recovery_at = now_us(), ask_again_at = now_us() + $3, updated_at = now_us()
WHERE id = $1 AND claim_token = $2 AND state = 'RUNNING'
