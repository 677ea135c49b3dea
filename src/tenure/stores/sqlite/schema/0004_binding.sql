-- What key a session is bound to (core/binding.py), if any.
ALTER TABLE sessions ADD COLUMN binding TEXT;
