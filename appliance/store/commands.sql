-- name: insert_command
-- Asks a node to do something with a run that it holds.
INSERT INTO commands (id, node_id, workflow_exec_id, kind, arguments, created_at)
VALUES (:id, :node_id, :workflow_exec_id, :kind, :arguments, :created_at);

-- name: list_commands
-- What a node is asked and has not answered, in the order it was asked.
SELECT id, workflow_exec_id, kind, arguments FROM commands
WHERE node_id = :node_id AND answer IS NULL
ORDER BY id;

-- name: answer_command
-- Keeps the answer until who asked has taken it.
UPDATE commands SET answer = :answer WHERE id = :id;

-- name: get_command
-- The answer to a command.
SELECT answer FROM commands WHERE id = :id;

-- name: delete_command
-- Forgets a command.
DELETE FROM commands WHERE id = :id;
