-- name: list_resources
-- Every definition that is stored: the project needs them all.
SELECT kind, id, text, version, created_at, created_by, updated_at, updated_by FROM resources
ORDER BY kind, id;

-- name: insert_resource
-- Adds a definition that was not stored before.
INSERT INTO resources (
    kind, id, text, version, created_at, created_by, updated_at, updated_by
) VALUES (
    :kind, :id, :text, 1, :at, :actor, :at, :actor
);

-- name: update_resource
-- Replaces a definition, if it is still the one that was seen.
UPDATE resources SET text = :text, version = version + 1, updated_at = :at, updated_by = :actor
WHERE kind = :kind AND id = :id AND version = :version;

-- name: delete_resource
-- Removes a definition, if it is still the one that was seen.
DELETE FROM resources WHERE kind = :kind AND id = :id AND version = :version;
