-- A lost attempt's last words do not replace those of the attempt that came after it.
-- $1: [{id, token, tail}]
INSERT INTO job_logs (job_id, tail)
SELECT jobs.id, g.value ->> 'tail'
FROM json_each($1) AS g JOIN jobs ON jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token')
WHERE true ON CONFLICT (job_id) DO UPDATE SET tail = excluded.tail
RETURNING job_id
