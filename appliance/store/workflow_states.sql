-- name: insert_definition
-- Keeps a definition under the hash of its text; one that is there already stays.
INSERT INTO definitions (hash, workflow_id, source, created_at)
VALUES (:hash, :workflow_id, :source, :created_at)
ON CONFLICT (hash) DO NOTHING;

-- name: get_definition
-- The text of a definition that a run is pinned to.
SELECT source FROM definitions WHERE hash = :hash;

-- name: insert_workflow_states (sqlite)
-- Begins runs. The row of values is there once for each.
INSERT INTO workflow_states (
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error, started_by,
    idempotency_key, origin, history, recoveries, created_at, updated_at, node_id,
    version
)
VALUES (
    :workflow_exec_id, :workflow_id, :definition_hash, :status, :input, :output, :error,
    :started_by, :idempotency_key, :origin, :history, :recoveries, :created_at, :updated_at, :node_id,
    1
);

-- name: insert_workflow_states (postgres)
-- Begins runs.
INSERT INTO workflow_states (
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error, started_by,
    idempotency_key, origin, history, recoveries, created_at, updated_at, node_id,
    version
)
SELECT
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error, started_by,
    idempotency_key, origin, history, recoveries, created_at, updated_at, node_id,
    1
FROM json_to_recordset(:rows) AS fresh (
    workflow_exec_id text, workflow_id text, definition_hash text, status text, input text,
    output text, error text, started_by text, idempotency_key text, origin text, history text,
    recoveries bigint, created_at bigint, updated_at bigint, node_id text
);

-- name: update_workflow_states (sqlite)
-- Moves runs on, but for those that somebody else moved since they were read.
UPDATE workflow_states
SET status = fresh.status,
    output = fresh.output,
    error = fresh.error,
    history = fresh.history,
    recoveries = fresh.recoveries,
    updated_at = fresh.updated_at,
    node_id = fresh.node_id,
    version = workflow_states.version + 1
FROM (
    WITH fresh (
        workflow_exec_id, version, status, output, error, history, recoveries, updated_at,
        node_id
    ) AS (
        VALUES (
            :workflow_exec_id, :version, :status, :output, :error, :history, :recoveries,
            :updated_at, :node_id
        )
    )
    SELECT * FROM fresh
) AS fresh
WHERE workflow_states.workflow_exec_id = fresh.workflow_exec_id
    AND workflow_states.version = fresh.version;

-- name: update_workflow_states (postgres)
-- Moves runs on, but for those that somebody else moved since they were read.
UPDATE workflow_states
SET status = fresh.status,
    output = fresh.output,
    error = fresh.error,
    history = fresh.history,
    recoveries = fresh.recoveries,
    updated_at = fresh.updated_at,
    node_id = fresh.node_id,
    version = workflow_states.version + 1
FROM json_to_recordset(:rows) AS fresh (
    workflow_exec_id text, version bigint, status text, output text, error text, history text,
    recoveries bigint, updated_at bigint, node_id text
)
WHERE workflow_states.workflow_exec_id = fresh.workflow_exec_id
    AND workflow_states.version = fresh.version;

-- name: get_workflow_state
-- One run.
SELECT
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error, started_by,
    idempotency_key, recoveries, version, created_at, updated_at, origin, history, node_id
FROM workflow_states
WHERE workflow_exec_id = :workflow_exec_id;

-- name: find_idempotency_key
-- The run that a repeated start request already began.
SELECT workflow_exec_id, workflow_id, input, origin, created_at FROM workflow_states
WHERE idempotency_key = :idempotency_key;

-- name: release_idempotency_key
-- Lets a key be used for another run, unless the run that holds it began after `before`.
UPDATE workflow_states SET idempotency_key = NULL
WHERE idempotency_key = :idempotency_key AND created_at <= :before;

-- name: list_workflow_states
-- Runs, newest first, a page at a time: ids from `since` on, below `before`, where the last page
-- ended. `statuses` is a text such as ',RUNNING,PAUSED,', or empty.
SELECT workflow_exec_id, workflow_id, status, error, origin, started_by, created_at, updated_at
FROM workflow_states
WHERE workflow_exec_id >= :since AND workflow_exec_id < :before
    AND (:statuses = '' OR :statuses LIKE '%,' || status || ',%')
ORDER BY workflow_exec_id DESC
LIMIT :row_limit;

-- name: list_workflow_states_of
-- Runs of one workflow, newest first, a page at a time.
SELECT workflow_exec_id, workflow_id, status, error, origin, started_by, created_at, updated_at
FROM workflow_states
WHERE workflow_id = :workflow_id AND workflow_exec_id >= :since AND workflow_exec_id < :before
    AND (:statuses = '' OR :statuses LIKE '%,' || status || ',%')
ORDER BY workflow_exec_id DESC
LIMIT :row_limit;

-- name: list_active_workflow_states
-- Runs that have not ended, oldest first, a page at a time.
SELECT
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error, started_by,
    idempotency_key, recoveries, version, created_at, updated_at, origin, history, node_id
FROM workflow_states
WHERE status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED') AND workflow_exec_id > :after
ORDER BY workflow_exec_id
LIMIT :row_limit;
