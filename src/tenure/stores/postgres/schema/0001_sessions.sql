-- Times are in microseconds since 1970, UTC.
-- Columns that a refresh changes (generation, nonce_hash, attempt_hash, rotated_at, expires_at) carry no index, and each
-- page keeps room, so that a refresh is a HOT update: no index entry is ever added, and the old version goes by itself.
CREATE TABLE tenure_sessions (
    id             bytea PRIMARY KEY,
    subject        text NOT NULL,
    client_id      text NOT NULL,
    scope          text NOT NULL,
    claims         text NOT NULL,
    device         text NOT NULL,
    created_at     bigint NOT NULL,
    expires_at     bigint NOT NULL,
    ends_at        bigint NOT NULL,
    generation     bigint NOT NULL,
    nonce_hash     bytea NOT NULL,
    attempt_hash   bytea,
    rotated_at     bigint NOT NULL,
    revoked_at     bigint,
    revoked_reason text,
    revoked_by     text
) WITH (fillfactor = 70);

CREATE INDEX tenure_sessions_by_subject ON tenure_sessions (subject);

-- The feed of revocations.
CREATE TABLE tenure_revocations (
    position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         bytea NOT NULL,
    revoked_at bigint NOT NULL
);

-- A position is drawn under a lock that is held until the commit: else a later position could be seen before an earlier
-- one, and whoever follows the feed would pass that by for ever.
CREATE FUNCTION tenure_feed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tenure revocations'));
    INSERT INTO tenure_revocations (id, revoked_at) VALUES (NEW.id, NEW.revoked_at);
    RETURN NULL;
END
$$;

CREATE TRIGGER tenure_revocations_feed AFTER UPDATE OF revoked_at ON tenure_sessions
FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
EXECUTE FUNCTION tenure_feed();

CREATE TABLE tenure_records (
    kind text NOT NULL,
    name text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, name)
);
