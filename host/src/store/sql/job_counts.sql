-- For health and metrics; the ends are not counted, there may be millions.
SELECT state, count(*) FROM jobs WHERE state = 'PENDING' GROUP BY state
UNION ALL
SELECT state, count(*) FROM jobs WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND state IN ('RUNNING', 'NEEDS_RECOVERY') GROUP BY state
