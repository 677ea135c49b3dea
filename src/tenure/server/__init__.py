"""The service: its settings, its embedded accounts, its rate limits, the application that `tenure serve` runs."""
