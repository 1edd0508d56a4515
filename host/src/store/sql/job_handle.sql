-- Also of a job that was canceled meanwhile: its handle is what the work is stopped by.
-- $1 id, $2 claim token, $3 handle
UPDATE jobs SET handle = $3, updated_at = now_us()
WHERE id = $1 AND claim_token = $2 AND work = 'maybe'
