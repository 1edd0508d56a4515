SELECT id, incarnation, machine_id, hostname, version, executors, heartbeat, started_at, seen_at, now_us() FROM replicas ORDER BY started_at, id
