"""The service: settings, embedded accounts, and the application that `tenure serve` runs."""
