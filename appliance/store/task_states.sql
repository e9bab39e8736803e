-- name: insert_task_state
-- Begins a task of a run.
INSERT INTO task_states (
    workflow_exec_id, seq, task_id, execution_type, status, parent_seq, position, attempt, retries,
    wake_at, input, output, error, version, created_at, updated_at
) VALUES (
    :workflow_exec_id, :seq, :task_id, :execution_type, :status, :parent_seq, :position, :attempt,
    :retries, :wake_at, :input, :output, :error, 1, :created_at, :updated_at
);

-- name: update_task_state
-- Moves a task on, unless somebody else did so since it was read.
UPDATE task_states
SET status = :status, attempt = :attempt, retries = :retries, wake_at = :wake_at, input = :input,
    output = :output, error = :error, version = :version + 1, updated_at = :updated_at
WHERE workflow_exec_id = :workflow_exec_id AND seq = :seq AND version = :version;

-- name: list_task_states
-- Every task of a run, in the order they began.
SELECT * FROM task_states WHERE workflow_exec_id = :workflow_exec_id ORDER BY seq;
