"""The parts that Tenure and AsyncTenure share: a store, an issuer, an event hook and observers.

`sessions.py` adds the public methods, blocking and with `await`.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tenure.core import flows, overview
from tenure.core.binding import dpop_binding
from tenure.core.dpop import Proofs
from tenure.core.effects import Flow
from tenure.core.errors import StoreUnavailable
from tenure.core.events import Event, Hook
from tenure.core.forking import Forking, survive_forks
from tenure.core.inputs import check_function, check_seconds, check_setting, check_text
from tenure.core.issuer import ClaimsSource, Issuer, TokenPair
from tenure.core.observations import Committed, Observer, each
from tenure.core.policy import Policy
from tenure.driving import upkeep
from tenure.observing.observed_store import ObservedStore
from tenure.stores import opened
from tenure.stores.group_commit import watch_batches
from tenure.stores.protocol import Store

_log = logging.getLogger("tenure")


class Deployment(Forking):
    """The parts that Tenure and AsyncTenure share.

    store: a URL ("sqlite:///file.db", "postgresql://…", "mysql://…", "valkey://…", "memory://") or a Store. secret: the
    root secret, at least 32 random bytes; fallbacks: older ones that are still accepted. issuer and audience: the
    access tokens' `iss` and `aud`. algorithm: ES256, Ed25519, RS256 or HS256. claims: a callable that is given the
    Session at login and at each refresh and answers the application's claims, or None if the account is gone, which
    ends the session.
    on_event: is called with each Event; observers: with whatever an instance observes of itself, for metrics and traces
    (tenure.observing.telemetry.Telemetry is one). poll: how often the store is asked for revocations and keys, in
    seconds. migrate: whether PostgreSQL's tables are made or brought forward, where need be.
    """

    def __init__(
        self,
        store: str | Store,
        *,
        secret: str | bytes,
        issuer: str,
        audience: str,
        policy: Policy | None = None,
        fallbacks: Sequence[str | bytes] = (),
        algorithm: str = "ES256",
        claims: ClaimsSource | None = None,
        on_event: Hook | None = None,
        observers: Sequence[Observer] = (),
        poll: float = 1.0,
        migrate: bool = True,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        for name, function in (("clock", clock), ("random", random)):
            check_function(name, function)
        if on_event is not None:
            check_function("on_event", on_event)
        check_setting("observers", observers, (list, tuple), "a list of functions")
        for observer in observers:
            check_function("An observer", observer)
        check_seconds("poll", poll)
        check_setting("migrate", migrate, bool, "True or False")
        self.issuer = Issuer(
            url=issuer,
            audience=audience,
            policy=Policy() if policy is None else policy,
            secret=secret,
            fallbacks=fallbacks,
            algorithm=algorithm,
            claims=claims,
            now=clock,
            random=random,
        )
        self.store = opened(store, migrate=migrate)
        self._hook = on_event
        self._observer = each(observers) if observers else None
        self._unwatch_batches: Callable[[], None] = lambda: None
        if self._observer is not None:
            self._observe(self._observer, on_event)
        self._poll = poll
        self._position = 0
        self._closed = False
        survive_forks(self)
        self._open_store()
        self._begin()

    def _observe(self, observe: Observer, on_event: Hook | None) -> None:
        self.store = ObservedStore(self.store, observe)
        self.issuer.observe = observe

        def hook(event: Event) -> None:
            observe(event)
            if on_event is not None:
                on_event(event)

        self._hook = hook

    def _open_store(self) -> None:
        self.store.open()
        if self._observer is not None:
            observe = self._observer
            self._unwatch_batches = watch_batches(lambda size: observe(Committed(size)))
        self._closed = False

    def _close_store(self) -> None:
        self._closed = True
        self._unwatch_batches()
        self.store.close()

    def _check_open(self) -> None:
        if self._closed:
            name = type(self).__name__
            raise StoreUnavailable(f"This {name} was closed. Enter it again (with or async with), or make another.")

    def after_fork_in_child(self) -> None:
        """Nothing follows the store in the child until its first use."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget the parent's threads or tasks, in a child process."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Called at the end of the constructor."""
        raise NotImplementedError

    def jwks(self) -> dict[str, Any]:
        """The public keys that check access tokens, as a JWK set (RFC 7517)."""
        return self.issuer.ring.jwks()

    @property
    def proofs(self) -> Proofs:
        """Checks the DPoP proofs of requests (RFC 9449), and makes the nonces for them."""
        return self.issuer.proofs

    def _login(
        self, subject: str, claims: Mapping[str, Any] | None, thumbprint: str | None, **details: Any
    ) -> Flow[TokenPair]:
        given = {} if claims is None else claims
        return flows.login(self.issuer, subject, claims=given, binding=_binding(thumbprint), **details)

    def _refresh(self, refresh_token: str, thumbprint: str | None, **details: Any) -> Flow[TokenPair]:
        return flows.refresh(self.issuer, refresh_token, binding=_binding(thumbprint), **details)

    def _upkeep(self) -> Flow[None]:
        if not self.issuer.ring.keys:
            yield from upkeep.load_companions(self.issuer)
        yield from upkeep.keep_ring(self.issuer)
        yield from overview.load_cutoffs(self.issuer)
        self._position = yield from upkeep.follow_revocations(self.issuer, self._position)
        yield from upkeep.repeat_revocations(self.issuer)
        yield from upkeep.end_unanswered(self.issuer)
        yield from overview.go_on_sweeping(self.issuer)

    def _failed_upkeep(self, problem: Exception) -> None:
        """Log a failed round of upkeep. A stale replica may meanwhile have taken the store's place."""
        self.issuer.doubts_store = True
        _log.warning("upkeep will be tried again: %s", problem)


def _binding(thumbprint: str | None) -> str | None:
    if thumbprint is None:
        return None
    check_text("thumbprint", thumbprint)
    return dpop_binding(thumbprint)
