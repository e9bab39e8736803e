-- up
CREATE TABLE schedules (
    workflow_id TEXT NOT NULL PRIMARY KEY,
    basis TEXT NOT NULL,
    last_tick BIGINT NOT NULL,
    waiting_tick BIGINT,
    entries BIGINT NOT NULL,
    last_exec_id TEXT,
    last_run_at BIGINT,
    enabled BIGINT,
    cron TEXT,
    timezone TEXT,
    changed_by TEXT,
    changed_at BIGINT
);

CREATE TABLE schedule_ticks (
    workflow_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    tick BIGINT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('started', 'skipped', 'missed', 'failed')),
    exec_id TEXT,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (workflow_id, number)
);

-- down
DROP TABLE schedule_ticks;
DROP TABLE schedules;
