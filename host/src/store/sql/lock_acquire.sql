-- A lock is stale only if its holder's row is gone, or the holder is terminal or PENDING and its work
-- is none or gone. Time makes nothing stale. One's own lock is re-acquired. One atomic statement:
-- of many contenders for a stale lock one changes the row.
-- $1 key, $2 job id, $3 attempt tag
INSERT INTO job_locks (lock_key, job_id, attempt_tag, acquired_at) VALUES ($1, $2, $3, now_us())
ON CONFLICT (lock_key) DO UPDATE SET job_id = excluded.job_id, attempt_tag = excluded.attempt_tag, acquired_at = excluded.acquired_at
WHERE job_locks.job_id = excluded.job_id
   OR NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_locks.job_id AND (jobs.state IN ('RUNNING', 'NEEDS_RECOVERY') OR jobs.work = 'maybe'))
RETURNING lock_key
