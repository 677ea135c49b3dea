"""Which addresses are this machine's own: the one rule by which plain http is acceptable."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without port or brackets, is this machine itself (RFC 6761, RFC 6890)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
