-- name: insert_signals
-- Keeps signals that runs received.
INSERT INTO signals (
    workflow_exec_id, number, signal_id, name, payload, source, received_at, taken_by
)
SELECT
    fresh.value ->> 'workflow_exec_id',
    CAST(fresh.value ->> 'number' AS bigint),
    fresh.value ->> 'signal_id',
    fresh.value ->> 'name',
    fresh.value ->> 'payload',
    fresh.value ->> 'source',
    CAST(fresh.value ->> 'received_at' AS bigint),
    CAST(fresh.value ->> 'taken_by' AS bigint)
FROM json_each(:rows) AS fresh;

-- name: update_signals
-- Notes which task took a signal.
UPDATE signals
SET taken_by = CAST(fresh.value ->> 'taken_by' AS bigint)
FROM json_each(:rows) AS fresh
WHERE signals.workflow_exec_id = fresh.value ->> 'workflow_exec_id'
    AND signals.number = CAST(fresh.value ->> 'number' AS bigint);

-- name: list_signals
-- Every signal of a run, in the order they came.
SELECT * FROM signals WHERE workflow_exec_id = :workflow_exec_id ORDER BY number;
