-- up
ALTER TABLE workflow_states ADD COLUMN origin TEXT;
ALTER TABLE workflow_states ADD COLUMN history TEXT;
ALTER TABLE task_states ADD COLUMN history TEXT;

CREATE TABLE signals (
    workflow_exec_id TEXT NOT NULL REFERENCES workflow_states (workflow_exec_id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    signal_id TEXT NOT NULL,
    name TEXT NOT NULL,
    payload TEXT,
    source TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    taken_by BIGINT,
    PRIMARY KEY (workflow_exec_id, number)
);

-- down
DROP TABLE signals;
ALTER TABLE task_states DROP COLUMN history;
ALTER TABLE workflow_states DROP COLUMN history;
ALTER TABLE workflow_states DROP COLUMN origin;
