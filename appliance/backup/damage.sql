-- Everything that is wrong with the file: broken pages, and rows that refer to rows that are missing.
SELECT integrity_check AS problem FROM pragma_integrity_check WHERE integrity_check <> 'ok'
UNION ALL
SELECT 'a row of ' || "table" || ' refers to a row of ' || parent || ' that is missing'
FROM pragma_foreign_key_check;
