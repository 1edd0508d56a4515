-- event: orphan
-- $1: JSON array of "executor/job type" that is offered, $2 orphan_after in microseconds, $3 error message
UPDATE jobs SET state = 'FAILED', error_message = $3, finished_at = now_us(), updated_at = now_us()
WHERE id IN (
    SELECT id FROM jobs
    WHERE state = 'PENDING' AND max(due_at, updated_at) + $2 < now_us()
      AND executor || '/' || job_type NOT IN (SELECT value FROM json_each($1))
    LIMIT 1000) AND state = 'PENDING'
RETURNING id
