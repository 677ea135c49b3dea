-- What key a session is bound to (core/binding.py), if any. A refresh does not change it: no index.
ALTER TABLE tenure_sessions ADD COLUMN binding text;
