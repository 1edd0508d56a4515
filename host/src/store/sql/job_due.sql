-- What a claim may take, most urgent first. Once a job has crashed its host twice it runs alone: such
-- rows are left to job_due_solo.
-- $1 executor, $2 job type, $3 priority, $4 at most
SELECT id, job_type, workspace, executor, attempt, retry_count, recovery_count, timeout_us, lock_key,
       (SELECT params FROM job_params WHERE job_id = jobs.id)
FROM jobs
WHERE state = 'PENDING' AND executor = $1 AND job_type = $2 AND priority = $3 AND due_at <= now_us() AND recovery_count < 2
ORDER BY due_at, id LIMIT $4
