-- name: insert_audit_entry
-- Notes what was done, by whom, to what.
INSERT INTO audit_log (id, at, actor, actor_email, action, subject, details)
VALUES (:id, :at, :actor, :actor_email, :action, :subject, :details);

-- name: list_audit_entries
-- Entries, newest first, a page at a time: `before` is the id where the last page ended.
SELECT id, at, actor, actor_email, action, subject, details FROM audit_log
WHERE id < :before AND (:action = '' OR action = :action) AND (:actor = '' OR actor = :actor)
ORDER BY id DESC
LIMIT :row_limit;
