-- Which executors and types have jobs waiting: a step of the index for each, however many they are.
WITH RECURSIVE
    waiting (executor) AS (
        SELECT (SELECT min(executor) FROM jobs WHERE state = 'PENDING')
        UNION ALL
        SELECT (SELECT min(jobs.executor) FROM jobs WHERE jobs.state = 'PENDING' AND jobs.executor > waiting.executor)
        FROM waiting WHERE waiting.executor IS NOT NULL),
    route (executor, job_type) AS (
        SELECT waiting.executor, (SELECT min(jobs.job_type) FROM jobs WHERE jobs.state = 'PENDING' AND jobs.executor = waiting.executor)
        FROM waiting WHERE waiting.executor IS NOT NULL
        UNION ALL
        SELECT route.executor, (SELECT min(jobs.job_type) FROM jobs WHERE jobs.state = 'PENDING' AND jobs.executor = route.executor AND jobs.job_type > route.job_type)
        FROM route WHERE route.job_type IS NOT NULL)
SELECT executor, job_type FROM route WHERE job_type IS NOT NULL
