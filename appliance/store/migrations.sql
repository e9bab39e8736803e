-- name: create_schema_migrations
-- Makes the list of migrations that were applied.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);

-- name: create_schema_compatibility
-- Makes the list of who may use the schema after a migration, for programs that do not know it.
CREATE TABLE IF NOT EXISTS schema_compatibility (
    version BIGINT NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL
);

-- name: has_table (sqlite)
-- Tells whether there is such a table.
SELECT name FROM sqlite_schema WHERE type = 'table' AND name = :name;

-- name: has_table (postgres)
-- Tells whether there is such a table.
SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename = :name;

-- name: list_schema_migrations
-- What was applied, oldest first.
SELECT version, name, applied_at FROM schema_migrations ORDER BY version;

-- name: list_schema_compatibility
-- From which migration on a program may use the schema after another.
SELECT version, since FROM schema_compatibility;

-- name: insert_schema_migration
-- Notes that a migration was applied.
INSERT INTO schema_migrations (version, name, applied_at) VALUES (:version, :name, :applied_at);

-- name: insert_schema_compatibility
-- Notes who may use the schema after a migration.
INSERT INTO schema_compatibility (version, since) VALUES (:version, :since);

-- name: delete_schema_migration
-- Notes that a migration was taken back.
DELETE FROM schema_migrations WHERE version = :version;

-- name: delete_schema_compatibility
-- Forgets who could use the schema after a migration.
DELETE FROM schema_compatibility WHERE version = :version;
