-- up
CREATE TABLE memory_keys (
    memory_ref TEXT NOT NULL,
    key TEXT NOT NULL,
    message_count INTEGER NOT NULL,
    token_count INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    flushed_at INTEGER,
    expires_at INTEGER,
    PRIMARY KEY (memory_ref, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE memory_messages (
    memory_ref TEXT NOT NULL,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (memory_ref, key, position),
    FOREIGN KEY (memory_ref, key) REFERENCES memory_keys (memory_ref, key) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE memory_operations (
    caller TEXT NOT NULL,
    number INTEGER NOT NULL,
    request TEXT NOT NULL,
    result TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    PRIMARY KEY (caller, number)
) STRICT, WITHOUT ROWID;

-- down
DROP TABLE memory_operations;
DROP TABLE memory_messages;
DROP TABLE memory_keys;
