SELECT job_id FROM job_locks WHERE lock_key = $1
