-- The attempts of an executor whose evidence still counts: how they ended is not settled yet, or not
-- proven. Of every locality: one too many costs nothing. $1 executor
SELECT id, attempt_tag, handle FROM jobs WHERE (state IN ('RUNNING', 'NEEDS_RECOVERY') OR work = 'maybe') AND executor = $1
