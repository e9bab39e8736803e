-- The statement that counts the rows of every table: tables differ from version to version.
SELECT group_concat(
    'SELECT ' || quote(name) || ' AS name, count(*) AS amount FROM "' || replace(name, '"', '""') || '"',
    ' UNION ALL '
)
FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\';
