SELECT id, job_type, (SELECT params FROM job_params WHERE job_id = jobs.id) FROM jobs WHERE creator = $1 AND workspace = $2 AND idempotency_key = $3
