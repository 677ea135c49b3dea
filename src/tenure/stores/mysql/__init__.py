"""Sessions in a MySQL or MariaDB database."""
