"""Statements for SQLite, PostgreSQL and Django's databases."""
