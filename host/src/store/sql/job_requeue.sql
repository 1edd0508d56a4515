-- event: requeue
-- The caller has proof that nothing of it runs, and has judged by the row, which nobody changes under
-- this token, how the crashes of the attempt count.
-- $1 id, $2 claim token, $3 delay in microseconds, $4 crashes, $5 those of them that it had alone
UPDATE jobs
SET state = 'PENDING', work = 'none', recovery_count = recovery_count + $4, solo_count = solo_count + $5, crashes = 0, due_at = now_us() + $3, updated_at = now_us(),
    claim_token = NULL, attempt_tag = NULL, owner = NULL, lease_expires_at = NULL, started_at = NULL, locality = NULL, handle = NULL, report = NULL,
    needs_recovery_at = NULL, ask_again_at = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
WHERE id = $1 AND claim_token = $2 AND state = 'NEEDS_RECOVERY'
