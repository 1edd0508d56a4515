SELECT id, job_type, workspace, creator, executor, priority, due_at, timeout_us, state, work, attempt, retry_count, recovery_count,
       created_at, updated_at, started_at, finished_at, result, error_message, cancel_reason, status_message, progress, progress_updated_at,
       claim_token, attempt_tag, handle, (SELECT params FROM job_params WHERE job_id = jobs.id)
FROM jobs WHERE id = $1
