-- event: claim
-- In one transaction with the read that found the row. Setting the columns by id is half the cost of
-- one UPDATE over that read: SQLite keeps the rows of such a statement and their parameters twice.
-- $1 id, $2 claim token, $3 attempt tag, $4 owner, $5 lease in microseconds
UPDATE jobs
SET state = 'RUNNING', attempt = attempt + 1, claim_token = $2, attempt_tag = $3, owner = $4,
    lease_expires_at = now_us() + $5, started_at = now_us(), updated_at = now_us(), locality = NULL, token_hash = NULL
WHERE id = $1 AND state = 'PENDING'
