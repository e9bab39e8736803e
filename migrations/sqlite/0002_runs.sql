-- up
-- The checks say OR, for SQLite would make a table of what stands in `IN (...)` for each row.
CREATE TABLE definitions (
    hash TEXT NOT NULL PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE workflow_states (
    workflow_exec_id TEXT NOT NULL PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    definition_hash TEXT NOT NULL REFERENCES definitions (hash),
    status TEXT NOT NULL CHECK (
        status = 'PENDING' OR status = 'RUNNING' OR status = 'SUCCESS' OR status = 'FAILED'
        OR status = 'TIMED_OUT' OR status = 'CANCELED' OR status = 'WAITING'
        OR status = 'PAUSED'
    ),
    input TEXT NOT NULL,
    output TEXT,
    error TEXT,
    started_by TEXT,
    idempotency_key TEXT,
    recoveries INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX workflow_states_by_workflow ON workflow_states (workflow_id, workflow_exec_id);

CREATE INDEX workflow_states_active ON workflow_states (workflow_exec_id)
WHERE status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED');

CREATE UNIQUE INDEX workflow_states_idempotency_key ON workflow_states (idempotency_key)
WHERE idempotency_key IS NOT NULL;

CREATE TABLE task_states (
    workflow_exec_id TEXT NOT NULL REFERENCES workflow_states (workflow_exec_id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    execution_type TEXT NOT NULL CHECK (
        execution_type = 'basic' OR execution_type = 'router' OR execution_type = 'parallel'
        OR execution_type = 'collection' OR execution_type = 'composite'
        OR execution_type = 'wait' OR execution_type = 'signal' OR execution_type = 'aggregate'
        OR execution_type = 'memory'
    ),
    status TEXT NOT NULL CHECK (
        status = 'PENDING' OR status = 'RUNNING' OR status = 'SUCCESS' OR status = 'FAILED'
        OR status = 'TIMED_OUT' OR status = 'CANCELED' OR status = 'WAITING'
        OR status = 'PAUSED'
    ),
    parent_seq INTEGER,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    wake_at INTEGER,
    input TEXT,
    output TEXT,
    error TEXT,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workflow_exec_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;

-- down
DROP TABLE probe;
DROP TABLE task_states;
DROP TABLE workflow_states;
DROP TABLE definitions;
