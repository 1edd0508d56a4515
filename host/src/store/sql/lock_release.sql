-- Names the exact acquisition: a late release cannot free the next holder's lock. $1 attempt tag
DELETE FROM job_locks WHERE attempt_tag = $1
