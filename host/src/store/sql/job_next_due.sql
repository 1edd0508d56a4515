-- When the next job of that executor and type is due, for the worker to sleep until then.
SELECT min(due_at) FROM (
    SELECT (SELECT min(due_at) FROM jobs WHERE state = 'PENDING' AND executor = $1 AND job_type = $2 AND priority = p.value AND due_at > now_us()) AS due_at
    FROM json_each('[1,2,3,4]') AS p)
