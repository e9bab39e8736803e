-- name: insert_session
-- Begins a session, of whose token only the digest is kept.
INSERT INTO sessions (digest, user_id, created_at, expires_at)
VALUES (:digest, :user_id, :created_at, :expires_at);

-- name: find_session_holder
-- The user behind a session token that was shown.
SELECT
    u.id AS user_id, u.email AS email, u.role AS user_role,
    NULL AS key_id, u.role AS key_role, s.digest AS digest, s.expires_at AS expires_at
FROM sessions AS s
INNER JOIN users AS u ON s.user_id = u.id
WHERE s.digest = :digest;

-- name: delete_session
-- Ends one session.
DELETE FROM sessions WHERE digest = :digest;

-- name: delete_sessions_of
-- Ends every session of a user.
DELETE FROM sessions WHERE user_id = :user_id;

-- name: delete_expired_sessions
-- Sweeps out the sessions that are over.
DELETE FROM sessions WHERE expires_at <= :now;
