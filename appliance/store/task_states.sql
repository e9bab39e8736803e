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
    fresh.value ->> 'workflow_exec_id',
    CAST(fresh.value ->> 'seq' AS bigint),
    fresh.value ->> 'task_id',
    fresh.value ->> 'execution_type',
    fresh.value ->> 'status',
    CAST(fresh.value ->> 'parent_seq' AS bigint),
    CAST(fresh.value ->> 'position' AS bigint),
    CAST(fresh.value ->> 'attempt' AS bigint),
    CAST(fresh.value ->> 'retries' AS bigint),
    CAST(fresh.value ->> 'wake_at' AS bigint),
    fresh.value ->> 'input',
    fresh.value ->> 'output',
    fresh.value ->> 'error',
    fresh.value ->> 'history',
    CAST(fresh.value ->> 'created_at' AS bigint),
    CAST(fresh.value ->> 'updated_at' AS bigint),
    1
FROM json_each(:rows) AS fresh;

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
SET status = fresh.value ->> 'status',
    attempt = CAST(fresh.value ->> 'attempt' AS bigint),
    retries = CAST(fresh.value ->> 'retries' AS bigint),
    wake_at = CAST(fresh.value ->> 'wake_at' AS bigint),
    input = fresh.value ->> 'input',
    output = fresh.value ->> 'output',
    error = fresh.value ->> 'error',
    history = fresh.value ->> 'history',
    updated_at = CAST(fresh.value ->> 'updated_at' AS bigint),
    version = task_states.version + 1
FROM json_each(:rows) AS fresh
WHERE task_states.workflow_exec_id = fresh.value ->> 'workflow_exec_id'
    AND task_states.seq = CAST(fresh.value ->> 'seq' AS bigint)
    AND task_states.version = CAST(fresh.value ->> 'version' AS bigint);

-- name: list_task_states
-- Every task of a run, in the order they began.
SELECT * FROM task_states WHERE workflow_exec_id = :workflow_exec_id ORDER BY seq;
