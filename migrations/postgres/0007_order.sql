-- up
-- Text in keys is ordered by its bytes, as SQLite orders it, whatever the language of the database.
ALTER TABLE users
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN email_key TYPE TEXT COLLATE "C";
ALTER TABLE api_keys
    ALTER COLUMN id TYPE TEXT COLLATE "C",
    ALTER COLUMN user_id TYPE TEXT COLLATE "C",
    ALTER COLUMN digest TYPE TEXT COLLATE "C";
ALTER TABLE sessions
    ALTER COLUMN digest TYPE TEXT COLLATE "C",
    ALTER COLUMN user_id TYPE TEXT COLLATE "C";
ALTER TABLE audit_log
    ALTER COLUMN id TYPE TEXT COLLATE "C";
ALTER TABLE definitions
    ALTER COLUMN hash TYPE TEXT COLLATE "C";
ALTER TABLE workflow_states
    ALTER COLUMN workflow_exec_id TYPE TEXT COLLATE "C",
    ALTER COLUMN workflow_id TYPE TEXT COLLATE "C",
    ALTER COLUMN definition_hash TYPE TEXT COLLATE "C",
    ALTER COLUMN idempotency_key TYPE TEXT COLLATE "C";
ALTER TABLE task_states
    ALTER COLUMN workflow_exec_id TYPE TEXT COLLATE "C",
    ALTER COLUMN task_id TYPE TEXT COLLATE "C";
ALTER TABLE signals
    ALTER COLUMN workflow_exec_id TYPE TEXT COLLATE "C";
ALTER TABLE memory_keys
    ALTER COLUMN memory_ref TYPE TEXT COLLATE "C",
    ALTER COLUMN key TYPE TEXT COLLATE "C";
ALTER TABLE memory_messages
    ALTER COLUMN memory_ref TYPE TEXT COLLATE "C",
    ALTER COLUMN key TYPE TEXT COLLATE "C";
ALTER TABLE memory_operations
    ALTER COLUMN caller TYPE TEXT COLLATE "C";
ALTER TABLE schedules
    ALTER COLUMN workflow_id TYPE TEXT COLLATE "C";
ALTER TABLE schedule_ticks
    ALTER COLUMN workflow_id TYPE TEXT COLLATE "C";
ALTER TABLE resources
    ALTER COLUMN kind TYPE TEXT COLLATE "C",
    ALTER COLUMN id TYPE TEXT COLLATE "C";

-- down
ALTER TABLE users
    ALTER COLUMN id TYPE TEXT COLLATE "default",
    ALTER COLUMN email_key TYPE TEXT COLLATE "default";
ALTER TABLE api_keys
    ALTER COLUMN id TYPE TEXT COLLATE "default",
    ALTER COLUMN user_id TYPE TEXT COLLATE "default",
    ALTER COLUMN digest TYPE TEXT COLLATE "default";
ALTER TABLE sessions
    ALTER COLUMN digest TYPE TEXT COLLATE "default",
    ALTER COLUMN user_id TYPE TEXT COLLATE "default";
ALTER TABLE audit_log
    ALTER COLUMN id TYPE TEXT COLLATE "default";
ALTER TABLE definitions
    ALTER COLUMN hash TYPE TEXT COLLATE "default";
ALTER TABLE workflow_states
    ALTER COLUMN workflow_exec_id TYPE TEXT COLLATE "default",
    ALTER COLUMN workflow_id TYPE TEXT COLLATE "default",
    ALTER COLUMN definition_hash TYPE TEXT COLLATE "default",
    ALTER COLUMN idempotency_key TYPE TEXT COLLATE "default";
ALTER TABLE task_states
    ALTER COLUMN workflow_exec_id TYPE TEXT COLLATE "default",
    ALTER COLUMN task_id TYPE TEXT COLLATE "default";
ALTER TABLE signals
    ALTER COLUMN workflow_exec_id TYPE TEXT COLLATE "default";
ALTER TABLE memory_keys
    ALTER COLUMN memory_ref TYPE TEXT COLLATE "default",
    ALTER COLUMN key TYPE TEXT COLLATE "default";
ALTER TABLE memory_messages
    ALTER COLUMN memory_ref TYPE TEXT COLLATE "default",
    ALTER COLUMN key TYPE TEXT COLLATE "default";
ALTER TABLE memory_operations
    ALTER COLUMN caller TYPE TEXT COLLATE "default";
ALTER TABLE schedules
    ALTER COLUMN workflow_id TYPE TEXT COLLATE "default";
ALTER TABLE schedule_ticks
    ALTER COLUMN workflow_id TYPE TEXT COLLATE "default";
ALTER TABLE resources
    ALTER COLUMN kind TYPE TEXT COLLATE "default",
    ALTER COLUMN id TYPE TEXT COLLATE "default";
