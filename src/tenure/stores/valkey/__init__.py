"""Sessions in Valkey or Redis: alone, behind Sentinels or as a Cluster."""
