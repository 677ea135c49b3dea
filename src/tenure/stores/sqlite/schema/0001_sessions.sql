-- Times are in microseconds since 1970, UTC.
-- Columns that a refresh changes (generation, nonce_hash, attempt_hash, rotated_at, expires_at) carry no index.
CREATE TABLE sessions (
    id             BLOB PRIMARY KEY NOT NULL,
    subject        TEXT NOT NULL,
    client_id      TEXT NOT NULL,
    scope          TEXT NOT NULL,
    claims         TEXT NOT NULL,
    device         TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    ends_at        INTEGER NOT NULL,
    generation     INTEGER NOT NULL,
    nonce_hash     BLOB NOT NULL,
    attempt_hash   BLOB,
    rotated_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    revoked_at     INTEGER,
    revoked_reason TEXT,
    revoked_by     TEXT
) WITHOUT ROWID;

CREATE INDEX sessions_by_subject ON sessions (subject);

-- The feed of revocations. AUTOINCREMENT, so that a position is never given twice, even after a purge.
CREATE TABLE revocations (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB NOT NULL,
    revoked_at INTEGER NOT NULL
);

CREATE TRIGGER revocations_feed AFTER UPDATE OF revoked_at ON sessions
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL
BEGIN
    INSERT INTO revocations (id, revoked_at) VALUES (NEW.id, NEW.revoked_at);
END;

CREATE TABLE records (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
