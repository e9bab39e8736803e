-- name: create_schema_migrations
-- Makes the list of migrations that were applied.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
);

-- name: has_schema_migrations (sqlite)
-- Tells whether any migration was ever applied.
SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations';

-- name: has_schema_migrations (postgres)
-- Tells whether any migration was ever applied.
SELECT tablename FROM pg_tables
WHERE schemaname = current_schema() AND tablename = 'schema_migrations';

-- name: list_schema_migrations
-- What was applied, oldest first.
SELECT version, name, applied_at FROM schema_migrations ORDER BY version;

-- name: insert_schema_migration
-- Notes that a migration was applied.
INSERT INTO schema_migrations (version, name, applied_at) VALUES (:version, :name, :applied_at);

-- name: delete_schema_migration
-- Notes that a migration was taken back.
DELETE FROM schema_migrations WHERE version = :version;
