-- event: mark
-- Expiry is judged here, by the database's clock; overdue is timeout + max(15 %, $1).
-- $1 stop grace + result grace + 10 s, in microseconds
UPDATE jobs SET state = 'NEEDS_RECOVERY', lease_expires_at = NULL, needs_recovery_at = now_us(), ask_again_at = now_us(), updated_at = now_us()
WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND state = 'RUNNING'
  AND (lease_expires_at < now_us() OR started_at + timeout_us + max(timeout_us * 15 / 100, $1) < now_us())
RETURNING id
