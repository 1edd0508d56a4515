-- $1: [{id, params}], params being JSON as text
INSERT INTO job_params (job_id, params) SELECT unhex(g.value ->> 'id'), g.value ->> 'params' FROM json_each($1) AS g
