-- name: get_memory_key
-- What there is under a key of a memory, also when it has expired.
SELECT
    memory_ref, key, message_count, token_count, last_position, written_at, flushed_at, expires_at
FROM memory_keys
WHERE memory_ref = :memory_ref AND key = :key;

-- name: put_memory_key
-- Keeps what there is under a key now.
INSERT INTO memory_keys (
    memory_ref, key, message_count, token_count, last_position, written_at, flushed_at, expires_at
)
VALUES (
    :memory_ref, :key, :message_count, :token_count, :last_position, :written_at, :flushed_at,
    :expires_at
)
ON CONFLICT (memory_ref, key) DO UPDATE SET
    message_count = excluded.message_count,
    token_count = excluded.token_count,
    last_position = excluded.last_position,
    written_at = excluded.written_at,
    flushed_at = excluded.flushed_at,
    expires_at = excluded.expires_at;

-- name: delete_memory_key
-- Removes a key; its messages go with it.
DELETE FROM memory_keys WHERE memory_ref = :memory_ref AND key = :key;

-- name: delete_expired_memory_keys
-- Removes some keys whose time is over, with their messages.
DELETE FROM memory_keys
WHERE (memory_ref, key) IN (
    SELECT memory_ref, key FROM memory_keys WHERE expires_at <= :now LIMIT :row_limit
);

-- name: list_memory_keys
-- Keys of a memory that have not expired, by key, a page at a time.
SELECT key, message_count, token_count, written_at, flushed_at, expires_at FROM memory_keys
WHERE memory_ref = :memory_ref AND key > :after AND COALESCE(expires_at, :now + 1) > :now
ORDER BY key
LIMIT :row_limit;

-- name: count_memories
-- How much each memory holds, without what has expired.
SELECT
    memory_ref,
    count(*) AS key_count,
    CAST(sum(message_count) AS bigint) AS message_count,
    CAST(sum(token_count) AS bigint) AS token_count
FROM memory_keys
WHERE COALESCE(expires_at, :now + 1) > :now
GROUP BY memory_ref;

-- name: insert_memory_messages
-- Adds messages under a key that is there.
INSERT INTO memory_messages (memory_ref, key, position, role, content, tokens)
VALUES (:memory_ref, :key, :position, :role, :content, :tokens);

-- name: list_memory_messages
-- Messages under a key, oldest first, a part of them.
SELECT role, content FROM memory_messages
WHERE memory_ref = :memory_ref AND key = :key
ORDER BY position
LIMIT :row_limit OFFSET :row_offset;

-- name: list_memory_weights
-- Place and weight of the oldest messages under a key, oldest first.
SELECT position, tokens FROM memory_messages
WHERE memory_ref = :memory_ref AND key = :key
ORDER BY position
LIMIT :row_limit;

-- name: count_memory_roles
-- How much each role has said under a key.
SELECT role, count(*) AS message_count, CAST(sum(tokens) AS bigint) AS token_count
FROM memory_messages
WHERE memory_ref = :memory_ref AND key = :key
GROUP BY role
ORDER BY role;

-- name: copy_memory_messages
-- Adds the messages of one key under another that is there.
INSERT INTO memory_messages (memory_ref, key, position, role, content, tokens)
SELECT memory_ref, :target, position, role, content, tokens
FROM memory_messages
WHERE memory_ref = :memory_ref AND key = :key;

-- name: delete_memory_message
-- Removes one message of a key.
DELETE FROM memory_messages
WHERE memory_ref = :memory_ref AND key = :key AND position = :position;

-- name: delete_memory_messages_through
-- Removes the messages of a key up to a place, which are the oldest.
DELETE FROM memory_messages
WHERE memory_ref = :memory_ref AND key = :key AND position <= :position;

-- name: get_memory_operation
-- What an operation that was applied came to.
SELECT request, result FROM memory_operations WHERE caller = :caller AND number = :number;

-- name: insert_memory_operation
-- Notes that an operation was applied, in the transaction that applies it.
INSERT INTO memory_operations (caller, number, request, result, applied_at)
VALUES (:caller, :number, :request, :result, :applied_at);

-- name: forget_memory_operations
-- Forgets operations of tasks that succeeded, and old ones of requests and of unknown tasks.
-- A scalar subquery goes by key; for EXISTS PostgreSQL would read all tasks.
DELETE FROM memory_operations
WHERE (number = 0 AND applied_at < :before) OR (
    number > 0 AND COALESCE(
        (
            SELECT t.status FROM task_states AS t
            WHERE t.workflow_exec_id = memory_operations.caller AND t.seq = memory_operations.number
        ),
        CASE WHEN applied_at < :before THEN 'SUCCESS' ELSE 'RUNNING' END
    ) = 'SUCCESS'
);
