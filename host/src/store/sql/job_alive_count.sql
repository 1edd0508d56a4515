-- What counts against max_running: watched, waiting for recovery, or perhaps still at work.
SELECT count(*) FROM jobs WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND job_type = $1
