"""The rules, without any I/O: tokens, families, sessions, keys, access tokens, and the flows over them."""
