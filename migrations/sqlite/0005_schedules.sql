-- up
CREATE TABLE schedules (
    workflow_id TEXT NOT NULL PRIMARY KEY,
    basis TEXT NOT NULL,
    last_tick INTEGER NOT NULL,
    waiting_tick INTEGER,
    entries INTEGER NOT NULL,
    last_exec_id TEXT,
    last_run_at INTEGER,
    enabled INTEGER,
    cron TEXT,
    timezone TEXT,
    changed_by TEXT,
    changed_at INTEGER
) STRICT;

CREATE TABLE schedule_ticks (
    workflow_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    tick INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('started', 'skipped', 'missed', 'failed')),
    exec_id TEXT,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (workflow_id, number)
) STRICT, WITHOUT ROWID;

-- down
DROP TABLE schedule_ticks;
DROP TABLE schedules;
