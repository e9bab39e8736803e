-- name: database_clock (postgres only)
-- The time by which leases go, in microseconds: the same for every node.
SELECT CAST(extract(EPOCH FROM clock_timestamp()) * 1000000 AS bigint) AS now;

-- name: insert_node
-- Makes a server a member.
INSERT INTO nodes (
    id, home, session, name, version, url, runs, calls, started_at, renewed_at,
    lease_until
)
VALUES (
    :id, :home, :session, :name, :version, :url, :runs, :calls, :started_at, :renewed_at,
    :lease_until
);

-- name: renew_node
-- Prolongs the lease of a member, and notes how it is.
UPDATE nodes
SET url = :url, runs = :runs, calls = :calls, renewed_at = :renewed_at, lease_until = :lease_until
WHERE id = :id;

-- name: list_nodes
-- Every member, the oldest first.
SELECT
    id, home, session, name, version, url, runs, calls, started_at, renewed_at, lease_until
FROM nodes
ORDER BY id;

-- name: hold_node (postgres only)
-- Keeps others from declaring a member dead until this transaction has ended.
SELECT id FROM nodes WHERE id = :id FOR KEY SHARE;

-- name: evict_node (postgres only)
-- Ends the connections by which a member writes: it may be paused in the middle of a transaction,
-- and hold what others wait for.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'compozy-' || CAST(:session AS text);

-- name: find_dead_nodes (postgres only)
-- Members whose lease is over, and those that began in this home and have no connection any more.
-- Who is in a transaction of its own is not dead. Who renewed more than a lease ahead of now did so
-- by a clock that was put back since.
SELECT id FROM nodes
WHERE id <> :id
    AND (
        lease_until < :now OR 2 * renewed_at - lease_until > :now
        OR (home = :home AND pg_try_advisory_xact_lock(session))
    )
FOR UPDATE SKIP LOCKED;

-- name: disown_runs
-- Lets go of every run of a node that has not ended, for others to take.
UPDATE workflow_states SET node_id = NULL, version = version + 1
WHERE node_id = :node_id AND status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED');

-- name: delete_node
-- Ends a membership, and forgets what the node was asked to do.
DELETE FROM nodes WHERE id = :id;

-- name: notify_nodes (postgres only)
-- Tells the other nodes something, once this transaction has ended well.
SELECT pg_notify('compozy', :text);

-- name: lock_session (postgres only)
-- Shows for as long as this connection lives that its process does. What it tells need not be durable.
SELECT
    pg_try_advisory_lock(:session),
    set_config('synchronous_commit', 'off', false);
