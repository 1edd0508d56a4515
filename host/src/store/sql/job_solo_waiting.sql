-- The executors for which a job waits that must run alone. A type that nobody runs here keeps no
-- executor waiting. INDEXED BY: without statistics SQLite may take the index of the whole backlog.
-- $1 job types as JSON
SELECT DISTINCT executor FROM jobs INDEXED BY job_alone
WHERE state = 'PENDING' AND recovery_count >= 2 AND due_at <= now_us() AND job_type IN (SELECT value FROM json_each($1))
