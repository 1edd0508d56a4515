-- event: claim
-- The tokens are drawn here, one pair a row. Once a job has crashed its host twice it runs alone:
-- such rows are left to job_claim_solo.
-- $1 executor, $2 job type, $3 priority, $4 at most, $5 owner, $6 lease in microseconds
UPDATE jobs
SET state = 'RUNNING', attempt = attempt + 1, claim_token = randomblob(16), attempt_tag = randomblob(16), owner = $5,
    lease_expires_at = now_us() + $6, started_at = now_us(), updated_at = now_us(), locality = NULL, token_hash = NULL
WHERE state = 'PENDING' AND id IN (
    SELECT id FROM jobs
    WHERE state = 'PENDING' AND executor = $1 AND job_type = $2 AND priority = $3 AND due_at <= now_us() AND recovery_count < 2
    ORDER BY due_at, id LIMIT $4)
RETURNING id, job_type, workspace, executor, attempt, retry_count, recovery_count, timeout_us, claim_token, attempt_tag, lock_key,
          (SELECT params FROM job_params WHERE job_id = jobs.id)
