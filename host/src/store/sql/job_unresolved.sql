-- What recovery has to ask about: unwatched attempts, and ended jobs whose work nobody has seen end.
-- $1 stop grace + result grace + 10 s, in microseconds
SELECT id, job_type, executor, state, work, claim_token, attempt_tag, locality, handle, report, recovery_count, solo_count, retry_count,
       started_at + timeout_us + max(timeout_us * 15 / 100, $1) < now_us(), now_us() - coalesce(needs_recovery_at, finished_at)
FROM jobs
WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND state <> 'RUNNING' AND coalesce(ask_again_at, 0) <= now_us()
ORDER BY coalesce(ask_again_at, 0), id LIMIT 1000
