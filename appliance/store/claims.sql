-- name: claim_orphans (postgres only)
-- Takes runs that were under way and that no node holds, each for one node.
WITH mine AS MATERIALIZED (
    SELECT workflow_exec_id FROM workflow_states
    WHERE status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED')
        AND (status = 'RUNNING' OR status = 'WAITING')
        AND node_id IS NULL
    ORDER BY workflow_exec_id
    LIMIT :row_limit
    FOR UPDATE SKIP LOCKED
)

UPDATE workflow_states SET node_id = :node_id, version = workflow_states.version + 1
FROM mine
WHERE workflow_states.workflow_exec_id = mine.workflow_exec_id
RETURNING workflow_states.workflow_exec_id;

-- name: claim_in_line (postgres only)
-- Takes the first runs in the line of a workflow, each for one node.
WITH mine AS MATERIALIZED (
    SELECT workflow_exec_id FROM workflow_states
    WHERE status = 'PENDING' AND workflow_id = :workflow_id AND node_id IS NULL
    ORDER BY workflow_exec_id
    LIMIT :row_limit
    FOR UPDATE SKIP LOCKED
)

UPDATE workflow_states SET node_id = :node_id, version = workflow_states.version + 1
FROM mine
WHERE workflow_states.workflow_exec_id = mine.workflow_exec_id
RETURNING workflow_states.workflow_exec_id;

-- name: claim_run (postgres only)
-- Takes one run, if it has not ended and no node holds it.
UPDATE workflow_states SET node_id = :node_id, version = version + 1
WHERE workflow_exec_id = :workflow_exec_id AND node_id IS NULL
    AND status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED');

-- name: put_back_in_line (postgres only)
-- Lets go of a run that was taken and has not begun.
UPDATE workflow_states SET node_id = NULL, version = version + 1
WHERE workflow_exec_id = :workflow_exec_id AND node_id = :node_id AND status = 'PENDING';

-- name: find_holder
-- The node that holds a run which has not ended.
SELECT node_id FROM workflow_states
WHERE workflow_exec_id = :workflow_exec_id
    AND status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED');

-- name: list_lines
-- Workflows with runs in line. The index is entered once for each.
WITH RECURSIVE lines (workflow_id) AS (
    SELECT min(workflow_id) FROM workflow_states WHERE status = 'PENDING'
    UNION ALL
    SELECT (
        SELECT min(workflow_id) FROM workflow_states
        WHERE status = 'PENDING' AND workflow_states.workflow_id > lines.workflow_id
    )
    FROM lines
    WHERE lines.workflow_id IS NOT NULL
)

SELECT workflow_id FROM lines WHERE workflow_id IS NOT NULL;

-- name: lock_line (postgres only)
-- Lets one node at a time count the runs of a workflow that has a bound.
SELECT pg_advisory_xact_lock(CAST(:key AS integer), hashtext(:workflow_id));

-- name: count_under_way
-- How many runs of a workflow have begun, or are about to, and have not ended.
SELECT count(*) AS runs FROM workflow_states
WHERE status IN ('PENDING', 'RUNNING', 'WAITING', 'PAUSED')
    AND workflow_id = :workflow_id AND (status <> 'PENDING' OR node_id IS NOT NULL);
