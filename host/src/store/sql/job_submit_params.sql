-- $1 id, $2 parameters: a JSON object as text
INSERT INTO job_params (job_id, params) VALUES ($1, $2)
