-- $1 id, $2 incarnation, $3 machine id, $4 host name, $5 version, $6 executors as JSON
INSERT INTO replicas (id, incarnation, machine_id, hostname, version, executors, heartbeat, started_at, seen_at)
VALUES ($1, $2, $3, $4, $5, $6, 0, now_us(), now_us())
ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, machine_id = excluded.machine_id, hostname = excluded.hostname,
    version = excluded.version, executors = excluded.executors, heartbeat = replicas.heartbeat + 1, started_at = excluded.started_at, seen_at = excluded.seen_at
