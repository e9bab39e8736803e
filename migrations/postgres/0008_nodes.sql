-- up
-- Servers that share this database. `lease_until` goes by the clock of the database.
CREATE TABLE nodes (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    home TEXT NOT NULL,
    session BIGINT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    url TEXT NOT NULL,
    runs BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);

-- What a node is to do with runs that it holds, because others were asked to.
CREATE TABLE commands (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    node_id TEXT COLLATE "C" NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    workflow_exec_id TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    arguments TEXT NOT NULL,
    answer TEXT,
    created_at BIGINT NOT NULL
);

ALTER TABLE workflow_states ADD COLUMN node_id TEXT COLLATE "C";

CREATE INDEX workflow_states_line ON workflow_states (workflow_id, workflow_exec_id)
WHERE status = 'PENDING';

-- down
DROP INDEX workflow_states_line;

ALTER TABLE workflow_states DROP COLUMN node_id;

DROP TABLE commands;

DROP TABLE nodes;
