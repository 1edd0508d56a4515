-- How many rows job_unresolved leaves out, by executor.
-- $1 executors that cannot answer as JSON, $2 give_up_after in microseconds
SELECT executor, count(*)
FROM jobs
WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND executor IN (SELECT value FROM json_each($1))
  AND state <> 'RUNNING' AND work = 'maybe' AND NOT (state = 'NEEDS_RECOVERY' AND needs_recovery_at + $2 <= now_us())
GROUP BY executor
