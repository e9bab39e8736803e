-- up
-- SQLite orders text by its bytes.

-- down
-- There is nothing to take back.
