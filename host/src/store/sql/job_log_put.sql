-- $1: [{id, tail}]
INSERT INTO job_logs (job_id, tail) SELECT unhex(g.value ->> 'id'), g.value ->> 'tail' FROM json_each($1) AS g
WHERE true ON CONFLICT (job_id) DO UPDATE SET tail = excluded.tail
