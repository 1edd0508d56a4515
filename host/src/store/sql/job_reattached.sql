-- The same columns as job_claim returns, of one job. $1 id, $2 claim token
SELECT id, job_type, workspace, executor, attempt, retry_count, recovery_count, timeout_us, claim_token, attempt_tag, lock_key,
       (SELECT params FROM job_params WHERE job_id = jobs.id),
       handle, started_at + timeout_us - now_us()
FROM jobs WHERE id = $1 AND claim_token = $2 AND state = 'RUNNING'
