-- The latest logins, and what happened lately, are found by index. Neither is changed by a refresh.
CREATE INDEX tenure_sessions_by_created_at ON tenure_sessions (created_at, id);

CREATE INDEX tenure_audit_by_at ON tenure_audit (at);

-- Sessions that a cutoff ends are told of by the cutoff, not one by one.
DROP TRIGGER tenure_revocations_feed ON tenure_sessions;

CREATE TRIGGER tenure_revocations_feed AFTER UPDATE OF revoked_at ON tenure_sessions
FOR EACH ROW WHEN (
    OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.revoked_reason IS DISTINCT FROM 'cutoff'
)
EXECUTE FUNCTION tenure_feed();
