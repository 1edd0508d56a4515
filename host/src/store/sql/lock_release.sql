-- Names the exact acquisition: a late release cannot free the next holder's lock. $1: [{tag}]
DELETE FROM job_locks WHERE attempt_tag IN (SELECT unhex(g.value ->> 'tag') FROM json_each($1) AS g)
