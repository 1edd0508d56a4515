-- event: orphan
-- $1 executor, $2 job type, $3 orphan_after in microseconds, $4 error message
UPDATE jobs SET state = 'FAILED', error_message = $4, finished_at = now_us(), updated_at = now_us()
WHERE id IN (
    SELECT id FROM jobs
    WHERE state = 'PENDING' AND executor = $1 AND job_type = $2 AND max(due_at, updated_at) + $3 < now_us()
    LIMIT 1000) AND state = 'PENDING'
RETURNING id
