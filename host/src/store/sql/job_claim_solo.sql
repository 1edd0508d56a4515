-- event: claim
-- As job_claim, for the one job of this executor that must run alone and has waited longest.
-- $1 executor, $2 owner, $3 lease in microseconds, $4 job types as JSON
UPDATE jobs
SET state = 'RUNNING', attempt = attempt + 1, claim_token = randomblob(16), attempt_tag = randomblob(16), owner = $2,
    lease_expires_at = now_us() + $3, started_at = now_us(), updated_at = now_us(), locality = NULL, token_hash = NULL
WHERE state = 'PENDING' AND id IN (
    SELECT id FROM jobs INDEXED BY job_alone
    WHERE state = 'PENDING' AND executor = $1 AND due_at <= now_us() AND recovery_count >= 2
      AND job_type IN (SELECT value FROM json_each($4))
    ORDER BY due_at, id LIMIT 1)
RETURNING id, job_type, workspace, executor, attempt, retry_count, recovery_count, timeout_us, claim_token, attempt_tag, lock_key,
          (SELECT params FROM job_params WHERE job_id = jobs.id)
