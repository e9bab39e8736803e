-- name: insert_user
-- Adds a user; `email_key` is the form of the address that must be unique.
INSERT INTO users (id, email, email_key, role, password_hash, created_at, updated_at)
VALUES (:id, :email, :email_key, :role, :password_hash, :created_at, :created_at);

-- name: get_user
-- One user by id.
SELECT id, email, role, created_at, updated_at FROM users WHERE id = :id;

-- name: find_user
-- One user by the unique form of the address, with the hash of the password.
SELECT id, email, role, password_hash FROM users WHERE email_key = :email_key;

-- name: list_users
-- Users, oldest first, a page at a time: `after` is the id where the last page ended.
SELECT id, email, role, created_at, updated_at FROM users
WHERE id > :after AND (:role = '' OR role = :role)
ORDER BY id
LIMIT :row_limit;

-- name: set_user_email
-- Gives a user another address.
UPDATE users SET email = :email, email_key = :email_key, updated_at = :now WHERE id = :id;

-- name: set_user_role
-- Gives a user another role.
UPDATE users SET role = :role, updated_at = :now WHERE id = :id;

-- name: set_user_password
-- Gives a user another password.
UPDATE users SET password_hash = :password_hash, updated_at = :now WHERE id = :id;

-- name: renew_user_password
-- Writes the hash of a password again, unless the password was changed since it was read.
UPDATE users SET password_hash = :renewed WHERE id = :id AND password_hash = :current;

-- name: hold_admins
-- Changes nothing, but locks every admin until the end of the transaction, so that the number of
-- rows stays true: two nodes that each demote another admin cannot both see one left.
UPDATE users SET role = 'admin' WHERE role = 'admin';

-- name: find_admin
-- Tells whether there is an admin.
SELECT id FROM users WHERE role = 'admin' LIMIT 1;

-- name: delete_user
-- Removes a user; keys and sessions go with it.
DELETE FROM users WHERE id = :id;
