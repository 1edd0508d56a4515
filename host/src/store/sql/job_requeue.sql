-- event: requeue
-- The caller has proof that nothing of it runs. Back-off grows with the count; crashes that happened
-- while it ran alone are counted apart.
-- $1: [{id, token, delay_us, crash}]
UPDATE jobs
SET state = 'PENDING', work = 'none', solo_count = solo_count + ((g.value ->> 'crash') AND recovery_count >= 2),
    recovery_count = recovery_count + (g.value ->> 'crash'), due_at = now_us() + (g.value ->> 'delay_us'), updated_at = now_us(),
    claim_token = NULL, attempt_tag = NULL, owner = NULL, lease_expires_at = NULL, started_at = NULL, locality = NULL, handle = NULL, report = NULL,
    needs_recovery_at = NULL, ask_again_at = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state = 'NEEDS_RECOVERY'
RETURNING jobs.id
