-- name: all_users
-- Every user, by key.
SELECT * FROM users ORDER BY id;

-- name: put_users
-- Adds every row that is not there yet.
INSERT INTO users (id, email, email_key, role, password_hash, created_at, updated_at)
VALUES (
    :id, :email, :email_key, :role, :password_hash, :created_at, :updated_at
)
ON CONFLICT DO NOTHING;

-- name: all_api_keys
-- Every API key, by key.
SELECT * FROM api_keys ORDER BY id;

-- name: put_api_keys
-- Adds every row that is not there yet.
INSERT INTO api_keys (
    id, user_id, digest, prefix, name, description, role, created_at, expires_at, last_used_at
)
VALUES (
    :id, :user_id, :digest, :prefix, :name, :description, :role, :created_at, :expires_at,
    :last_used_at
)
ON CONFLICT DO NOTHING;

-- name: all_sessions
-- Every session, by key.
SELECT * FROM sessions ORDER BY digest;

-- name: put_sessions
-- Adds every row that is not there yet.
INSERT INTO sessions (digest, user_id, created_at, expires_at)
VALUES (:digest, :user_id, :created_at, :expires_at)
ON CONFLICT DO NOTHING;

-- name: all_audit_log
-- Every entry of the audit log, by key.
SELECT * FROM audit_log ORDER BY id;

-- name: put_audit_log
-- Adds every row that is not there yet.
INSERT INTO audit_log (id, at, actor, actor_email, action, subject, details)
VALUES (:id, :at, :actor, :actor_email, :action, :subject, :details)
ON CONFLICT DO NOTHING;

-- name: all_definitions
-- Every definition that runs are pinned to, by key.
SELECT * FROM definitions ORDER BY hash;

-- name: put_definitions
-- Adds every row that is not there yet.
INSERT INTO definitions (hash, workflow_id, source, created_at)
VALUES (:hash, :workflow_id, :source, :created_at)
ON CONFLICT DO NOTHING;

-- name: all_workflow_states
-- Every run, by key. The node that holds it is no part of it.
SELECT
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error, started_by,
    idempotency_key, recoveries, version, created_at, updated_at, origin, history
FROM workflow_states
ORDER BY workflow_exec_id;

-- name: put_workflow_states
-- Adds every row that is not there yet.
INSERT INTO workflow_states (
    workflow_exec_id, workflow_id, definition_hash, status, input, output, error, started_by,
    idempotency_key, recoveries, version, created_at, updated_at, origin, history
)
VALUES (
    :workflow_exec_id, :workflow_id, :definition_hash, :status, :input, :output, :error,
    :started_by, :idempotency_key, :recoveries, :version, :created_at, :updated_at, :origin,
    :history
)
ON CONFLICT DO NOTHING;

-- name: all_task_states
-- Every task, by key.
SELECT * FROM task_states ORDER BY workflow_exec_id, seq;

-- name: put_task_states
-- Adds every row that is not there yet.
INSERT INTO task_states (
    workflow_exec_id, seq, task_id, execution_type, status, parent_seq, position, attempt,
    retries, wake_at, input, output, error, version, created_at, updated_at, history
)
VALUES (
    :workflow_exec_id, :seq, :task_id, :execution_type, :status, :parent_seq, :position,
    :attempt, :retries, :wake_at, :input, :output, :error, :version, :created_at, :updated_at,
    :history
)
ON CONFLICT DO NOTHING;

-- name: all_signals
-- Every signal, by key.
SELECT * FROM signals ORDER BY workflow_exec_id, number;

-- name: put_signals
-- Adds every row that is not there yet.
INSERT INTO signals (
    workflow_exec_id, number, signal_id, name, payload, source, received_at, taken_by
)
VALUES (
    :workflow_exec_id, :number, :signal_id, :name, :payload, :source, :received_at, :taken_by
)
ON CONFLICT DO NOTHING;

-- name: all_memory_keys
-- Every key of a memory, by key.
SELECT * FROM memory_keys ORDER BY memory_ref, key;

-- name: put_memory_keys
-- Adds every row that is not there yet.
INSERT INTO memory_keys (
    memory_ref, key, message_count, token_count, last_position, written_at, flushed_at,
    expires_at
)
VALUES (
    :memory_ref, :key, :message_count, :token_count, :last_position, :written_at, :flushed_at,
    :expires_at
)
ON CONFLICT DO NOTHING;

-- name: all_memory_messages
-- Every message, by key.
SELECT * FROM memory_messages ORDER BY memory_ref, key, position;

-- name: put_memory_messages
-- Adds every row that is not there yet.
INSERT INTO memory_messages (memory_ref, key, position, role, content, tokens)
VALUES (:memory_ref, :key, :position, :role, :content, :tokens)
ON CONFLICT DO NOTHING;

-- name: all_memory_operations
-- Every operation on a memory that must not be repeated, by key.
SELECT * FROM memory_operations ORDER BY caller, number;

-- name: put_memory_operations
-- Adds every row that is not there yet.
INSERT INTO memory_operations (caller, number, request, result, applied_at)
VALUES (:caller, :number, :request, :result, :applied_at)
ON CONFLICT DO NOTHING;

-- name: all_schedules
-- Every schedule, by key.
SELECT * FROM schedules ORDER BY workflow_id;

-- name: put_schedules
-- Adds every row that is not there yet.
INSERT INTO schedules (
    workflow_id, basis, last_tick, waiting_tick, entries, last_exec_id, last_run_at, enabled,
    cron, timezone, changed_by, changed_at
)
VALUES (
    :workflow_id, :basis, :last_tick, :waiting_tick, :entries, :last_exec_id, :last_run_at,
    :enabled, :cron, :timezone, :changed_by, :changed_at
)
ON CONFLICT DO NOTHING;

-- name: all_schedule_ticks
-- Every tick of a schedule, by key.
SELECT * FROM schedule_ticks ORDER BY workflow_id, number;

-- name: put_schedule_ticks
-- Adds every row that is not there yet.
INSERT INTO schedule_ticks (workflow_id, number, tick, outcome, exec_id, reason, at)
VALUES (:workflow_id, :number, :tick, :outcome, :exec_id, :reason, :at)
ON CONFLICT DO NOTHING;

-- name: all_resources
-- Every definition that came through the API, by key.
SELECT * FROM resources ORDER BY kind, id;

-- name: put_resources
-- Adds every row that is not there yet.
INSERT INTO resources (
    kind, id, text, version, created_at, created_by, updated_at, updated_by
)
VALUES (
    :kind, :id, :text, :version, :created_at, :created_by, :updated_at, :updated_by
)
ON CONFLICT DO NOTHING;
