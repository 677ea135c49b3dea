"""Rate limits: the `Throttle` of the service, on the library `limits`.

Requests are limited by what they cost and what they present. A forged refresh token costs arithmetic and is not
counted. A genuine one that is refused costs a store call, and counts for its own session only. A login costs a password
hash, and is counted before it is hashed, so that parallel requests gain nothing:

    by a browser or network that has logged in to this account before     20 in 5 minutes, for it alone by anybody else
    from one network 300, on one account from it 20 in 5 minutes; on the account 100 an hour

So strangers can lock out strangers, but not an account's owner (OWASP, "Slow Down Online Guessing Attacks with Device
Cookies"). Each process counts in memory; logins may be counted in a Valkey or Redis that all share.
"""

import functools
import ipaddress
import logging
import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

from limits import RateLimitItem, parse
from limits.errors import ConfigurationError as UnknownStorage
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from tenure.core.errors import ConfigurationError
from tenure.core.inputs import spelling_of

T = TypeVar("T")

ACQUAINTED = parse("20 per 5 minutes")
STRANGERS_OF_A_NETWORK = parse("300 per 5 minutes")
STRANGERS_OF_A_NETWORK_ON_AN_ACCOUNT = parse("20 per 5 minutes")
STRANGERS_ON_AN_ACCOUNT = parse("100 per 1 hour")
NETWORK_REMEMBERED = parse("1 per 30 days")
REFUSED_REFRESHES_OF_A_SESSION = parse("100 per 1 minute")

_SHARED_SECONDS = 1.0
_KEY_PREFIX = "tenure:limits"

_log = logging.getLogger("tenure")


class RateLimits:
    """Counts in this process's memory, and logins in `store` if that is the URL of a Valkey or Redis.

    While that server does not respond, this process counts by itself. Raises ConfigurationError for another URL.
    """

    def __init__(self, store: str | None = None) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._refusals = MemoryStorage()
        self._refreshes = MovingWindowRateLimiter(self._refusals)
        self._shared = None if store is None else MovingWindowRateLimiter(_shared_storage(store))

    def sign_in(self, account: str, address: str, device: str | None = None) -> int | None:
        """Count a login attempt. Returns the seconds to wait if there were too many, or None to go ahead.

        device: the id of a browser whose mark shows that it has logged in to this account before, or None.
        """
        name, network = spelling_of(account), network_of(address)
        return self._counted(lambda limiter: _sign_in(limiter, name, network, device))

    def signed_in(self, account: str, address: str, device: str | None = None) -> None:
        """The owner has logged in: reset the count of their own attempts, and remember their network."""
        name, network = spelling_of(account), network_of(address)

        def remember(limiter: MovingWindowRateLimiter) -> None:
            limiter.clear(ACQUAINTED, "device", name, device or "")
            limiter.clear(STRANGERS_OF_A_NETWORK_ON_AN_ACCOUNT, "account", name, network)
            limiter.hit(NETWORK_REMEMBERED, "known", name, network)

        self._counted(remember)

    def refresh(self, session_id: str) -> int | None:
        """The seconds to wait before this session may be refreshed, or None to go ahead."""
        nothing_refused = not self._refusals.events
        if nothing_refused or self._refreshes.test(REFUSED_REFRESHES_OF_A_SESSION, "refresh", session_id):
            return None
        return _wait(self._refreshes, REFUSED_REFRESHES_OF_A_SESSION, "refresh", session_id)

    def refresh_refused(self, session_id: str) -> None:
        """Count a refresh of this session that was refused."""
        self._refreshes.hit(REFUSED_REFRESHES_OF_A_SESSION, "refresh", session_id)

    def _counted(self, count: Callable[[MovingWindowRateLimiter], T]) -> T:
        if self._shared is not None:
            try:
                return count(self._shared)
            except Exception as problem:  # noqa: BLE001 - whatever its driver raises: nobody is kept out by an outage
                _log.warning("the shared rate limits can't be reached (%s)", type(problem).__name__)
        return count(self._own)


def _sign_in(limiter: MovingWindowRateLimiter, name: str, network: str, device: str | None) -> int | None:
    if device is not None:
        return _hit(limiter, ACQUAINTED, "device", name, device)
    limits: list[tuple[RateLimitItem, tuple[str, ...]]] = [
        (STRANGERS_OF_A_NETWORK_ON_AN_ACCOUNT, ("account", name, network)),
        (STRANGERS_OF_A_NETWORK, ("network", network)),
        (STRANGERS_ON_AN_ACCOUNT, ("account", name)),
    ]
    known = not limiter.test(NETWORK_REMEMBERED, "known", name, network)
    for limit, names in limits[:1] if known else limits:
        wait = _hit(limiter, limit, *names)
        if wait is not None:
            return wait
    return None


def _hit(limiter: MovingWindowRateLimiter, limit: RateLimitItem, *names: str) -> int | None:
    return None if limiter.hit(limit, *names) else _wait(limiter, limit, *names)


def _wait(limiter: MovingWindowRateLimiter, limit: RateLimitItem, *names: str) -> int:
    return max(1, math.ceil(limiter.get_window_stats(limit, *names).reset_time - time.time()))


def _shared_storage(url: str) -> Any:
    scheme, separator, rest = url.partition("://")
    plain = scheme.replace("valkey", "redis")  # one driver, redis-py, supports both
    if plain.startswith("rediss+"):
        raise ConfigurationError("rate_limit_store takes TLS for one server (valkeys://…), not for a Cluster.")
    if not separator or not plain.startswith("redis"):
        raise ConfigurationError("rate_limit_store is the URL of a Valkey or Redis: valkey://HOST:PORT/DB.")
    try:
        return storage_from_string(
            f"{plain}://{rest}",
            key_prefix=_KEY_PREFIX,
            socket_timeout=_SHARED_SECONDS,
            socket_connect_timeout=_SHARED_SECONDS,
        )
    except (UnknownStorage, ValueError, TypeError) as problem:
        raise ConfigurationError(f"rate_limit_store is no URL that can be used: {type(problem).__name__}.") from None


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What counts as one network: an IPv4 address, or the /64 of an IPv6 subscriber (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:  # a dual-stack socket maps all of IPv4 into one /64
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
