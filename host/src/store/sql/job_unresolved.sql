-- What recovery has to ask about: unwatched attempts, and ended jobs whose work nobody has seen end.
-- What runs or ran on an executor that cannot answer now is left out and left as it is, however often this
-- is asked: its rows would take all the places here. Not those that are to be given up, which needs no answer.
-- $1 stop grace + result grace + 10 s, in microseconds, $2 executors that cannot answer as JSON, $3 give_up_after in microseconds
SELECT id, job_type, executor, state, work, claim_token, attempt_tag, locality, handle, report, recovery_count, solo_count, crashes, retry_count,
       started_at + timeout_us + max(timeout_us * 15 / 100, $1) < now_us(), now_us() - coalesce(needs_recovery_at, finished_at)
FROM jobs
WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND state <> 'RUNNING' AND coalesce(ask_again_at, 0) <= now_us()
  AND (work <> 'maybe' OR executor NOT IN (SELECT value FROM json_each($2)) OR (state = 'NEEDS_RECOVERY' AND needs_recovery_at + $3 <= now_us()))
ORDER BY coalesce(ask_again_at, 0), id LIMIT 1000
