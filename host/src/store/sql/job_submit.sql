-- event: submit
-- $1 id, $2 job type, $3 workspace, $4 creator, $5 executor, $6 priority, $7 due time | null, $8 timeout in microseconds,
-- $9 lock key | null, $10 idempotency key | null
INSERT INTO jobs (id, job_type, workspace, creator, executor, priority, due_at, timeout_us, state, created_at, updated_at, lock_key, idempotency_key)
VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, now_us()), $8, 'PENDING', now_us(), now_us(), $9, $10)
