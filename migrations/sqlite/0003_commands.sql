-- up
ALTER TABLE workflow_states ADD COLUMN origin TEXT;
ALTER TABLE workflow_states ADD COLUMN history TEXT;
ALTER TABLE task_states ADD COLUMN history TEXT;

CREATE TABLE signals (
    workflow_exec_id TEXT NOT NULL REFERENCES workflow_states (workflow_exec_id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    signal_id TEXT NOT NULL,
    name TEXT NOT NULL,
    payload TEXT,
    source TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    taken_by INTEGER,
    PRIMARY KEY (workflow_exec_id, number)
) STRICT, WITHOUT ROWID;

-- down
DROP TABLE signals;
ALTER TABLE task_states DROP COLUMN history;
ALTER TABLE workflow_states DROP COLUMN history;
ALTER TABLE workflow_states DROP COLUMN origin;
