-- event: settle
-- The claim token stays in the row: after an ambiguous commit it tells whose end this is.
-- $1: [{id, token, state, work, result, error_message, cancel_reason, of_report}]
UPDATE jobs
SET state = g.value ->> 'state', work = g.value ->> 'work', result = g.value ->> 'result', error_message = g.value ->> 'error_message',
    cancel_reason = g.value ->> 'cancel_reason', finished_at = now_us(), updated_at = now_us(), lease_expires_at = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
FROM json_each($1) AS g
WHERE jobs.id = unhex(g.value ->> 'id') AND jobs.claim_token = unhex(g.value ->> 'token') AND jobs.state IN ('RUNNING', 'NEEDS_RECOVERY')
  AND (jobs.report IS NULL OR g.value ->> 'of_report')
RETURNING jobs.id
