-- event: settle
-- The claim token stays in the row: after an ambiguous commit it tells whose end this is.
-- $1 id, $2 claim token, $3 state, $4 work, $5 result, $6 error message, $7 cancel reason as JSON, $8 whether it settles the stored report
UPDATE jobs
SET state = $3, work = $4, result = $5, error_message = $6,
    cancel_reason = $7, finished_at = now_us(), updated_at = now_us(), lease_expires_at = NULL,
    status_message = NULL, progress = NULL, progress_updated_at = NULL, token_hash = NULL, scoped_permissions = NULL
WHERE id = $1 AND claim_token = $2 AND state IN ('RUNNING', 'NEEDS_RECOVERY')
  AND (report IS NULL OR $8)
