-- As job_due, for the one job of this executor that must run alone and has waited longest.
-- $1 executor, $2 job types as JSON
SELECT id, job_type, workspace, executor, attempt, retry_count, recovery_count, timeout_us, lock_key,
       (SELECT params FROM job_params WHERE job_id = jobs.id)
FROM jobs INDEXED BY job_alone
WHERE state = 'PENDING' AND executor = $1 AND due_at <= now_us() AND recovery_count >= 2
  AND job_type IN (SELECT value FROM json_each($2))
ORDER BY due_at, id LIMIT 1
