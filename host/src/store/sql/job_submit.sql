-- event: submit
-- $1: [{id, job_type, workspace, creator, executor, priority, due_at | null, timeout_us, lock_key | null, idempotency_key | null}]
INSERT INTO jobs (id, job_type, workspace, creator, executor, priority, due_at, timeout_us, state, created_at, updated_at, lock_key, idempotency_key)
SELECT unhex(g.value ->> 'id'), g.value ->> 'job_type', g.value ->> 'workspace', g.value ->> 'creator', g.value ->> 'executor', g.value ->> 'priority',
       coalesce(g.value ->> 'due_at', now_us()), g.value ->> 'timeout_us', 'PENDING', now_us(), now_us(), unhex(g.value ->> 'lock_key'), g.value ->> 'idempotency_key'
FROM json_each($1) AS g
