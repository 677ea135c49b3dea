-- The latest logins, and what happened lately, are found by index. Neither is changed by a refresh.
CREATE INDEX sessions_by_created_at ON sessions (created_at, id);

CREATE INDEX audit_by_at ON audit (at);

-- Sessions that a cutoff ends are told of by the cutoff, not one by one.
DROP TRIGGER revocations_feed;

CREATE TRIGGER revocations_feed AFTER UPDATE OF revoked_at ON sessions
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.revoked_reason IS NOT 'cutoff'
BEGIN
    INSERT INTO revocations (id, revoked_at) VALUES (NEW.id, NEW.revoked_at);
END;
