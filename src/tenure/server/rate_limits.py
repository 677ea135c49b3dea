"""How often somebody may try: the `Throttle` of the service, on the library `limits`.

Counted in the memory of each worker process, so that with several workers somebody may try up to that many times as
often. Every attempt to sign in counts before it is made, so that a flood in parallel gains nothing; the account's
count is forgotten when its owner comes in. Refreshes count only when they were refused.
"""

import functools
import ipaddress
import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

SIGN_INS_AN_ACCOUNT = parse("20 per 5 minutes")
SIGN_INS_AN_ADDRESS = parse("300 per 5 minutes")
REFUSED_REFRESHES_AN_ADDRESS = parse("100 per 1 minute")


class RateLimits:
    """Counts in memory."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def sign_in(self, account: str, address: str) -> int | None:
        """Count an attempt. Answers the seconds until the next may be made, or None for go ahead."""
        for limit, name in ((SIGN_INS_AN_ADDRESS, network_of(address)), (SIGN_INS_AN_ACCOUNT, account)):
            if not self._limiter.hit(limit, "sign-in", name):
                return self._wait(limit, "sign-in", name)
        return None

    def signed_in(self, account: str) -> None:
        """Forget the attempts on an account whose owner has come in."""
        self._limiter.clear(SIGN_INS_AN_ACCOUNT, "sign-in", account)

    def refresh(self, address: str) -> int | None:
        """The seconds until this address may refresh again, or None for go ahead."""
        network = network_of(address)
        if self._limiter.test(REFUSED_REFRESHES_AN_ADDRESS, "refresh", network):
            return None
        return self._wait(REFUSED_REFRESHES_AN_ADDRESS, "refresh", network)

    def refresh_refused(self, address: str) -> None:
        """Count a refresh that was refused."""
        self._limiter.hit(REFUSED_REFRESHES_AN_ADDRESS, "refresh", network_of(address))

    def _wait(self, limit: RateLimitItem, *names: str) -> int:
        return max(1, math.ceil(self._limiter.get_window_stats(limit, *names).reset_time - time.time()))


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 that one IPv6 subscriber has (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
