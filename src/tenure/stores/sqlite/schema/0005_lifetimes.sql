-- Which lifetime a session's login chose, and its own idle lifetime (microseconds), which a refresh computes its expiry
-- from; null for the sessions of before. When and how the user was authenticated last, if more is known than the login's
-- moment, as JSON. And what an ended or begun session was bound to, in the trail.
ALTER TABLE sessions ADD COLUMN lifetime TEXT;

ALTER TABLE sessions ADD COLUMN idle_ttl INTEGER;

ALTER TABLE sessions ADD COLUMN authentication TEXT;

ALTER TABLE audit ADD COLUMN bound TEXT;
