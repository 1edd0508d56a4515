-- event: requeue
-- The caller has proof that nothing of it runs. Back-off grows with the count; crashes that happened
-- while it ran alone are counted apart.
-- $1 id, $2 claim token, $3 delay in microseconds, $4 whether it counts as a crash
UPDATE jobs
SET state = 'PENDING', work = 'none', solo_count = solo_count + ($4 AND recovery_count >= 2),
    recovery_count = recovery_count + $4, due_at = now_us() + $3, updated_at = now_us(),
    claim_token = NULL, attempt_tag = NULL, owner = NULL, lease_expires_at = NULL, started_at = NULL, locality = NULL, handle = NULL, report = NULL,
    needs_recovery_at = NULL, ask_again_at = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
WHERE id = $1 AND claim_token = $2 AND state = 'NEEDS_RECOVERY'
