-- name: write_probe
-- Replaces the one row of the table: the smallest write there is.
INSERT INTO probe (id, at) VALUES (1, :at)
ON CONFLICT (id) DO UPDATE SET at = excluded.at;
