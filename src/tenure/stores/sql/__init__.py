"""The statements that SQLite, PostgreSQL and Django's databases share."""
