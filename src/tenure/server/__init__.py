"""The service: its settings, its embedded accounts, the application that `tenure serve` runs."""
