-- up
CREATE TABLE memory_keys (
    memory_ref TEXT NOT NULL,
    key TEXT NOT NULL,
    message_count BIGINT NOT NULL,
    token_count BIGINT NOT NULL,
    last_position BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    flushed_at BIGINT,
    expires_at BIGINT,
    PRIMARY KEY (memory_ref, key)
);

CREATE TABLE memory_messages (
    memory_ref TEXT NOT NULL,
    key TEXT NOT NULL,
    position BIGINT NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    tokens BIGINT NOT NULL,
    PRIMARY KEY (memory_ref, key, position),
    FOREIGN KEY (memory_ref, key) REFERENCES memory_keys (memory_ref, key) ON DELETE CASCADE
);

CREATE TABLE memory_operations (
    caller TEXT NOT NULL,
    number BIGINT NOT NULL,
    request TEXT NOT NULL,
    result TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (caller, number)
);

-- down
DROP TABLE memory_operations;
DROP TABLE memory_messages;
DROP TABLE memory_keys;
