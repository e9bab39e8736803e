-- name: insert_definition
-- Keeps a definition under the hash of its text; one that is there already stays.
INSERT INTO definitions (hash, workflow_id, source, created_at)
VALUES (:hash, :workflow_id, :source, :created_at)
ON CONFLICT (hash) DO NOTHING;

-- name: get_definition
-- The text of a definition that a run is pinned to.
SELECT source FROM definitions WHERE hash = :hash;

-- name: insert_workflow_state
-- Begins a run.
INSERT INTO workflow_states (
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error,
    started_by, idempotency_key, recoveries, version, created_at, updated_at
) VALUES (
    :workflow_exec_id, :workflow_id, :definition_hash, :status, :input, :output, :error,
    :started_by, :idempotency_key, :recoveries, 1, :created_at, :updated_at
);

-- name: update_workflow_state
-- Moves a run on, unless somebody else did so since it was read.
UPDATE workflow_states
SET status = :status, output = :output, error = :error, recoveries = :recoveries,
    version = :version + 1, updated_at = :updated_at
WHERE workflow_exec_id = :workflow_exec_id AND version = :version;

-- name: get_workflow_state
-- One run.
SELECT * FROM workflow_states WHERE workflow_exec_id = :workflow_exec_id;

-- name: find_idempotency_key
-- The run that a repeated start request already began.
SELECT workflow_exec_id, workflow_id, input FROM workflow_states
WHERE idempotency_key = :idempotency_key;

-- name: list_workflow_states
-- Runs, newest first, a page at a time: `before` is the id where the last page ended.
SELECT workflow_exec_id, workflow_id, status, error, started_by, created_at, updated_at
FROM workflow_states
WHERE workflow_exec_id < :before AND (:status = '' OR status = :status)
ORDER BY workflow_exec_id DESC
LIMIT :row_limit;

-- name: list_workflow_states_of
-- Runs of one workflow, newest first, a page at a time.
SELECT workflow_exec_id, workflow_id, status, error, started_by, created_at, updated_at
FROM workflow_states
WHERE workflow_id = :workflow_id AND workflow_exec_id < :before
    AND (:status = '' OR status = :status)
ORDER BY workflow_exec_id DESC
LIMIT :row_limit;

-- name: list_active_workflow_states
-- Runs that have not ended, oldest first, a page at a time.
SELECT * FROM workflow_states
WHERE status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED') AND workflow_exec_id > :after
ORDER BY workflow_exec_id
LIMIT :row_limit;
