"""Metrics and traces of an instance."""
