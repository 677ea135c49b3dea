-- Which lifetime a session's login chose, and its own idle lifetime (microseconds), which a refresh computes its expiry
-- from; null for the sessions of before. When and how the user was authenticated last, if more is known than the login's
-- moment, as JSON. And what an ended or begun session was bound to, in the trail.
ALTER TABLE tenure_sessions ADD COLUMN lifetime text, ADD COLUMN idle_ttl bigint, ADD COLUMN authentication text;

ALTER TABLE tenure_audit ADD COLUMN bound text;
