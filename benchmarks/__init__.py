"""The figures: each measured against something else in the same run, printed as JSON lines."""
