-- name: insert_signals
-- Keeps signals that runs received.
INSERT INTO signals (
    workflow_exec_id, number, signal_id, name, payload, source, received_at, taken_by
)
VALUES (
    :workflow_exec_id, :number, :signal_id, :name, :payload, :source, :received_at, :taken_by
);

-- name: update_signals
-- Notes which task took a signal.
UPDATE signals SET taken_by = :taken_by
WHERE workflow_exec_id = :workflow_exec_id AND number = :number;

-- name: list_signals
-- Every signal of a run, in the order they came.
SELECT
    workflow_exec_id, number, signal_id, name, payload, source, received_at, taken_by
FROM signals
WHERE workflow_exec_id = :workflow_exec_id
ORDER BY number;
