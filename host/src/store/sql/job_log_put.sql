-- A lost attempt's last words do not replace those of the attempt that came after it.
-- $1 id, $2 claim token, $3 the output's end
INSERT INTO job_logs (job_id, tail)
SELECT id, $3 FROM jobs WHERE id = $1 AND claim_token = $2
ON CONFLICT (job_id) DO UPDATE SET tail = excluded.tail
