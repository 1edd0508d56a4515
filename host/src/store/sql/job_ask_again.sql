-- No answer, no change: the row is asked about again later.
-- $1 id, $2 claim token, $3 delay in microseconds, $4 whether what was asked crashed over it
UPDATE jobs SET crashes = crashes + $4, ask_again_at = now_us() + $3
WHERE id = $1 AND claim_token = $2 AND state <> 'RUNNING'
