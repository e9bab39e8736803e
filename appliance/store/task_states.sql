-- name: insert_task_states (sqlite)
-- Begins tasks. The row of values is there once for each.
INSERT INTO task_states (
    workflow_exec_id, seq, task_id, execution_type, status, parent_seq, position, attempt,
    retries, wake_at, input, output, error, history, created_at, updated_at, version
)
VALUES (
    :workflow_exec_id, :seq, :task_id, :execution_type, :status, :parent_seq, :position, :attempt,
    :retries, :wake_at, :input, :output, :error, :history, :created_at, :updated_at, 1
);

-- name: insert_task_states (postgres)
-- Begins tasks.
INSERT INTO task_states (
    workflow_exec_id, seq, task_id, execution_type, status, parent_seq, position, attempt,
    retries, wake_at, input, output, error, history, created_at, updated_at, version
)
SELECT
    workflow_exec_id, seq, task_id, execution_type, status, parent_seq, position, attempt,
    retries, wake_at, input, output, error, history, created_at, updated_at, 1
FROM json_to_recordset(:rows) AS fresh (
    workflow_exec_id text, seq bigint, task_id text, execution_type text, status text,
    parent_seq bigint, position bigint, attempt bigint, retries bigint, wake_at bigint,
    input text, output text, error text, history text, created_at bigint, updated_at bigint
);

-- name: update_task_states (sqlite)
-- Moves tasks on, but for those that somebody else moved since they were read.
UPDATE task_states
SET status = fresh.status,
    attempt = fresh.attempt,
    retries = fresh.retries,
    wake_at = fresh.wake_at,
    input = fresh.input,
    output = fresh.output,
    error = fresh.error,
    history = fresh.history,
    updated_at = fresh.updated_at,
    version = task_states.version + 1
FROM (
    WITH fresh (
        workflow_exec_id, seq, version, status, attempt, retries, wake_at, input, output, error,
        history, updated_at
    ) AS (
        VALUES (
            :workflow_exec_id, :seq, :version, :status, :attempt, :retries, :wake_at, :input, :output,
            :error, :history, :updated_at
        )
    )
    SELECT * FROM fresh
) AS fresh
WHERE task_states.workflow_exec_id = fresh.workflow_exec_id
    AND task_states.seq = fresh.seq
    AND task_states.version = fresh.version;

-- name: update_task_states (postgres)
-- Moves tasks on, but for those that somebody else moved since they were read.
UPDATE task_states
SET status = fresh.status,
    attempt = fresh.attempt,
    retries = fresh.retries,
    wake_at = fresh.wake_at,
    input = fresh.input,
    output = fresh.output,
    error = fresh.error,
    history = fresh.history,
    updated_at = fresh.updated_at,
    version = task_states.version + 1
FROM json_to_recordset(:rows) AS fresh (
    workflow_exec_id text, seq bigint, version bigint, status text, attempt bigint,
    retries bigint, wake_at bigint, input text, output text, error text, history text,
    updated_at bigint
)
WHERE task_states.workflow_exec_id = fresh.workflow_exec_id
    AND task_states.seq = fresh.seq
    AND task_states.version = fresh.version;

-- name: list_task_states
-- Every task of a run, in the order they began.
SELECT
    workflow_exec_id, seq, task_id, execution_type, status, parent_seq, position, attempt,
    retries, wake_at, input, output, error, version, created_at, updated_at, history
FROM task_states
WHERE workflow_exec_id = :workflow_exec_id
ORDER BY seq;
