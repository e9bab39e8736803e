-- name: prepare_connection (postgres only)
-- Waits for locks only so long, and never lets a commit be acknowledged before it is durable.
-- A client that is silently gone must not keep its claim on the database for the usual two hours.
-- Joins here go by key; without statistics of a young table the planner would read all of it instead.
SELECT
    set_config('lock_timeout', :lock_timeout, false),
    set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config(
        'synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
        ELSE current_setting('synchronous_commit') END,
        false
    );

-- name: list_columns_of_index (postgres only)
-- Columns of an index in their order, with the table; a name that is unique in its schema.
SELECT t.relname AS table_name, a.attname AS column_name
FROM pg_index AS i
INNER JOIN pg_class AS n ON i.indexrelid = n.oid
INNER JOIN pg_class AS t ON i.indrelid = t.oid
INNER JOIN pg_attribute AS a ON a.attrelid = n.oid
WHERE n.relname = :name AND pg_table_is_visible(n.oid)
ORDER BY a.attnum;

-- name: claim_database (postgres only)
-- Keeps every server off, for who changes the database as a whole; ends with the connection.
SELECT pg_try_advisory_lock(:key) AS claimed;

-- name: share_database (postgres only)
-- Keeps those off who change the database as a whole, or so that who knows no newer migration cannot
-- follow; ends with the connection.
SELECT
    pg_try_advisory_lock_shared(:key)
    AND pg_try_advisory_lock_shared(
        CAST(:programs AS integer), CAST(:newest AS integer)
    ) AS claimed;

-- name: name_connection (postgres only)
-- By its name others can end a connection that writes, when its server is paused and holds what they
-- wait for.
SELECT set_config('application_name', 'compozy-' || CAST(:session AS bigint), false);

-- name: keep_database (postgres only)
-- Keeps those off who change the database as a whole, beside servers; ends with the connection.
SELECT pg_try_advisory_lock_shared(:key) AS claimed;

-- name: exclude_programs (postgres only)
-- Keeps servers off whose programs do not know a migration; ends with the connection.
SELECT NOT exists(
    SELECT older FROM generate_series(1, CAST(:since AS integer) - 1) AS older
    WHERE NOT pg_try_advisory_lock(CAST(:programs AS integer), older)
) AS claimed;

-- name: lock_migrations (postgres only)
-- Lets one node migrate while the others wait; ends with the connection.
SELECT set_config('lock_timeout', :patience, true), pg_advisory_lock(:key);
