-- The last look before `submit` is called: canceled or lost meanwhile means no row here.
-- $1 id, $2 claim token, $3 locality
UPDATE jobs SET work = 'maybe', locality = $3, updated_at = now_us()
WHERE id = $1 AND claim_token = $2 AND state = 'RUNNING'
