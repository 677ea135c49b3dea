-- A position in the feed is a moment (microseconds since 1970, UTC), or the one after the last where that is later: a
-- replica that takes over without the last rows, or a restored backup, never gives a position a second time, so that
-- whoever follows the feed misses nothing. And each revocation is told to those who listen.
ALTER TABLE tenure_revocations ALTER COLUMN position DROP IDENTITY;

CREATE OR REPLACE FUNCTION tenure_feed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tenure revocations'));
    INSERT INTO tenure_revocations (position, id, revoked_at)
    SELECT greatest(coalesce(max(position), 0) + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
        NEW.id, NEW.revoked_at
    FROM tenure_revocations;
    PERFORM pg_notify('tenure_revoked', encode(NEW.id, 'hex') || ' ' || NEW.revoked_at);
    RETURN NULL;
END
$$;
