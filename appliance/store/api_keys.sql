-- name: insert_api_key
-- Adds an API key, of which only the digest is kept.
INSERT INTO api_keys (
    id, user_id, digest, prefix, name, description, role, created_at, expires_at, last_used_at
) VALUES (
    :id, :user_id, :digest, :prefix, :name, :description, :role, :created_at, :expires_at, NULL
);

-- name: get_api_key
-- One key by id, without its digest.
SELECT id, user_id, prefix, name, description, role, created_at, expires_at, last_used_at
FROM api_keys WHERE id = :id;

-- name: find_api_key_holder
-- The user behind a key that was shown, and what limits the key.
SELECT
    u.id AS user_id, u.email AS email, u.role AS user_role,
    k.id AS key_id, k.role AS key_role, k.digest AS digest, k.expires_at AS expires_at
FROM api_keys AS k
INNER JOIN users AS u ON k.user_id = u.id
WHERE k.digest = :digest;

-- name: list_api_keys
-- Everybody's keys, oldest first, a page at a time: `after` is the id where the last page ended.
SELECT id, user_id, prefix, name, description, role, created_at, expires_at, last_used_at
FROM api_keys WHERE id > :after
ORDER BY id
LIMIT :row_limit;

-- name: list_api_keys_of
-- Keys of one user, oldest first, a page at a time.
SELECT id, user_id, prefix, name, description, role, created_at, expires_at, last_used_at
FROM api_keys WHERE user_id = :user_id AND id > :after
ORDER BY id
LIMIT :row_limit;

-- name: touch_api_key
-- Notes when a key was used; an older note never replaces a newer one.
UPDATE api_keys SET last_used_at = :at
WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :at);

-- name: delete_api_key
-- Revokes a key.
DELETE FROM api_keys WHERE id = :id;
