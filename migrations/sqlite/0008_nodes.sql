-- up
-- Servers that share a database of PostgreSQL; a file of SQLite has one server, and no rows here.
CREATE TABLE nodes (
    id TEXT NOT NULL PRIMARY KEY,
    home TEXT NOT NULL,
    session INTEGER NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    url TEXT NOT NULL,
    runs INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT;

-- What a node is to do with runs that it holds, because others were asked to.
CREATE TABLE commands (
    id TEXT NOT NULL PRIMARY KEY,
    node_id TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    workflow_exec_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    arguments TEXT NOT NULL,
    answer TEXT,
    created_at INTEGER NOT NULL
) STRICT;

ALTER TABLE workflow_states ADD COLUMN node_id TEXT;

CREATE INDEX workflow_states_line ON workflow_states (workflow_id, workflow_exec_id)
WHERE status = 'PENDING';

-- down
DROP INDEX workflow_states_line;

ALTER TABLE workflow_states DROP COLUMN node_id;

DROP TABLE commands;

DROP TABLE nodes;
