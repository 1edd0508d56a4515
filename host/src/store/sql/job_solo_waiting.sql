-- The executors for which a job waits that must run alone.
SELECT DISTINCT executor FROM jobs WHERE state = 'PENDING' AND recovery_count >= 2 AND due_at <= now_us()
