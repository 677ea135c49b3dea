"""Sessions in Valkey or Redis: one server, Sentinels or a Cluster."""
