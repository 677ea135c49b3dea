"""Adapters for web frameworks, one module for each."""
