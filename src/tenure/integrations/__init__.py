"""tenure in the frameworks that people use, each in one module."""
