-- The audit trail: one row for each session that was made and each that was ended. Times are in microseconds since 1970,
-- UTC.
CREATE TABLE audit (
    row        INTEGER PRIMARY KEY,
    subject    TEXT NOT NULL,
    kept_until INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    session_id BLOB NOT NULL,
    client_id  TEXT NOT NULL,
    device     TEXT NOT NULL,
    address    TEXT NOT NULL,
    reason     TEXT,
    by_whom    TEXT
);

CREATE INDEX audit_by_subject ON audit (subject, at);

CREATE INDEX audit_by_kept_until ON audit (kept_until);
