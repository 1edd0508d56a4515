-- The attempt's tag, the columns of job_due, the handle, and what is left of its time.
-- $1 id, $2 claim token
SELECT attempt_tag, id, job_type, workspace, executor, attempt, retry_count, recovery_count, timeout_us, lock_key,
       (SELECT params FROM job_params WHERE job_id = jobs.id),
       handle, started_at + timeout_us - now_us()
FROM jobs WHERE id = $1 AND claim_token = $2 AND state = 'RUNNING'
