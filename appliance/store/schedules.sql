-- name: list_schedules
-- What is known of every schedule, also of those that the project has no more.
SELECT
    workflow_id, basis, last_tick, waiting_tick, entries, last_exec_id, last_run_at, enabled,
    cron, timezone, changed_by, changed_at
FROM schedules;

-- name: get_schedule
-- What is known of one schedule.
SELECT
    workflow_id, basis, last_tick, waiting_tick, entries, last_exec_id, last_run_at, enabled,
    cron, timezone, changed_by, changed_at
FROM schedules
WHERE workflow_id = :workflow_id;

-- name: begin_schedule
-- Notes from when on the ticks of a schedule count: it is new, or it was changed. With an empty
-- basis it is gone, and with it the start that waited.
INSERT INTO schedules (workflow_id, basis, last_tick, entries)
VALUES (:workflow_id, :basis, :last_tick, 0)
ON CONFLICT (workflow_id) DO UPDATE
SET basis = :basis, last_tick = :last_tick,
    waiting_tick = CASE WHEN :basis = '' THEN NULL ELSE schedules.waiting_tick END;

-- name: advance_schedule
-- Notes up to which tick a schedule is dealt with, and which one waits for a run to end.
UPDATE schedules SET last_tick = :last_tick, waiting_tick = :waiting_tick
WHERE workflow_id = :workflow_id;

-- name: note_schedule_run
-- Notes the run that a schedule started last.
UPDATE schedules SET last_exec_id = :exec_id, last_run_at = :at WHERE workflow_id = :workflow_id;

-- name: override_schedule
-- Puts other values in the place of those of the project; null is no other value.
UPDATE schedules
SET enabled = :enabled, cron = :cron, timezone = :timezone,
    changed_by = :changed_by, changed_at = :changed_at
WHERE workflow_id = :workflow_id;

-- name: insert_schedule_tick
-- Adds an entry to the ledger of a schedule, under the number that was counted.
INSERT INTO schedule_ticks (workflow_id, number, tick, outcome, exec_id, reason, at)
SELECT workflow_id, entries, :tick, :outcome, :exec_id, :reason, :at
FROM schedules WHERE workflow_id = :workflow_id;

-- name: count_schedule_tick
-- Counts an entry that is to be added; others who add one wait until it is there.
UPDATE schedules SET entries = entries + 1 WHERE workflow_id = :workflow_id;

-- name: prune_schedule_ticks
-- Forgets the oldest entries of the ledger of a schedule.
DELETE FROM schedule_ticks
WHERE workflow_id = :workflow_id
    AND number <= (SELECT entries FROM schedules WHERE workflow_id = :workflow_id) - :keep;

-- name: list_schedule_ticks
-- The ledger of a schedule, newest entry first, a page at a time.
SELECT number, tick, outcome, exec_id, reason, at FROM schedule_ticks
WHERE workflow_id = :workflow_id AND number < :before
ORDER BY number DESC
LIMIT :row_limit;

-- name: find_schedule_run
-- The entry of a run in the ledger of a schedule.
SELECT number FROM schedule_ticks WHERE workflow_id = :workflow_id AND exec_id = :exec_id;

-- name: latest_schedule_tick
-- The last tick in the ledger of a schedule that is not in the future.
SELECT max(tick) AS tick FROM schedule_ticks WHERE workflow_id = :workflow_id AND tick <= :now;

-- name: list_scheduled_runs
-- Runs that schedules started and that have not ended.
SELECT workflow_exec_id, workflow_id, idempotency_key FROM workflow_states
WHERE status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED') AND idempotency_key LIKE 'schedule:%'
ORDER BY workflow_exec_id;

-- name: get_run_status
-- How a run stands.
SELECT status FROM workflow_states WHERE workflow_exec_id = :workflow_exec_id;
