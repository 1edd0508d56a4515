-- The executor has shown that nothing of the attempt runs any more.
-- $1 id, $2 claim token
UPDATE jobs SET work = 'gone', updated_at = now_us()
WHERE id = $1 AND claim_token = $2 AND work = 'maybe'
