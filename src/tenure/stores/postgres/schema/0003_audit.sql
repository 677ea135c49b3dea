-- The audit trail: one row for each session that was made and each that was ended. Times are in microseconds since 1970,
-- UTC.
CREATE TABLE tenure_audit (
    row        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject    text NOT NULL,
    kept_until bigint NOT NULL,
    at         bigint NOT NULL,
    kind       text NOT NULL,
    session_id bytea NOT NULL,
    client_id  text NOT NULL,
    device     text NOT NULL,
    address    text NOT NULL,
    reason     text,
    by_whom    text
);

CREATE INDEX tenure_audit_by_subject ON tenure_audit (subject, at);

CREATE INDEX tenure_audit_by_kept_until ON tenure_audit (kept_until);
