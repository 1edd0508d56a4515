-- $1 id, $2 incarnation, $3 executors as JSON
UPDATE replicas SET heartbeat = heartbeat + 1, seen_at = now_us(), executors = $3 WHERE id = $1 AND incarnation = $2 RETURNING id
