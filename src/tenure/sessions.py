"""Tenure and AsyncTenure: the library's main classes.

Both run the same flows, one with blocking calls, one with `await`. They differ in nothing else.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from tenure.core import existing, overview
from tenure.core.access import Claims
from tenure.core.effects import Flow
from tenure.core.flows import FIRST_PARTY
from tenure.core.issuer import Issuer, TokenPair
from tenure.core.overview import STEPS_AT_A_GLANCE, Overview, which_sessions
from tenure.core.session import AuditEntry, Page, Session
from tenure.driving.deployment import Deployment
from tenure.driving.drivers import adrive, drive

T = TypeVar("T")

_log = logging.getLogger("tenure")


class Tenure(Deployment):
    """Sessions for blocking code. Safe to share between threads; close it, or use it with `with`.

    It can be entered again after it was closed, and works in a child process after a fork.
    """

    def _begin(self) -> None:
        self._begin_anew()
        self._wake()

    def _begin_anew(self) -> None:
        self._awake = False
        self._waking = threading.Lock()
        self._stopped = threading.Event()

    def _wake(self) -> None:
        """Load the signing keys and follow the store, unless this process does so already.

        This happens in a thread from the beginning: a key made in the caller's transaction (Django's ATOMIC_REQUESTS,
        on SQLite) could be rolled back with it.
        """
        with self._waking:
            self._check_open()
            if not self._awake:
                begun: Future[None] = Future()
                self._stopped = threading.Event()
                arguments = (self._stopped, begun)
                threading.Thread(target=self._watch, args=arguments, name="tenure-upkeep", daemon=True).start()
                begun.result()
                self.store.watch(self.issuer.heard_revoked)
                self._awake = True

    def login(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        device: str = "",
        client_id: str = FIRST_PARTY,
        scope: str = "",
        address: str = "",
        thumbprint: str | None = None,
    ) -> TokenPair:
        """Begin a session for an authenticated user, and return its first pair of tokens.

        claims: for every access token of this session. device: a name that the user will recognise. address: where the
        login comes from, for the audit trail. Raises LoginRefused at the limit of sessions.
        """
        details = {"device": device, "client_id": client_id, "scope": scope, "address": address}
        return self.run(self._login(subject, claims, thumbprint, **details))

    def refresh(
        self,
        refresh_token: str,
        *,
        attempt: str | None = None,
        client_id: str = FIRST_PARTY,
        scope: str | None = None,
        address: str = "",
        thumbprint: str | None = None,
    ) -> TokenPair:
        """Exchange a refresh token for a new pair. Raises InvalidGrant (ForgedToken, SessionEnded, WrongClient).

        attempt: a random value of 16 to 200 characters that the client made before its first try and sends with each
        further one, so that a lost response is never taken for theft. address: where the request comes from, for the
        audit trail if the token was stolen.
        """
        details = {"attempt": attempt, "client_id": client_id, "scope": scope, "address": address}
        return self.run(self._refresh(refresh_token, thumbprint, **details))

    def verify(self, access_token: str, *, proof: str | None = None, method: str = "", url: str = "") -> Claims:
        """The claims of a valid access token. Raises InvalidAccessToken for any other. Does not ask the store.

        proof: the DPoP header of a request whose Authorization is of that scheme; method, url: of that request, as the
        client knows it. Without them, a token that is bound to a key is refused (ProofRequired).
        """
        if not self._awake:
            self._wake()
        return self.issuer.verified(access_token, proof=proof, method=method, urls=[url])

    def sessions(self, subject: str) -> tuple[Session, ...]:
        """The live sessions of a subject, oldest first."""
        return self.run(existing.list_live(self.issuer, subject))

    def audit(self, subject: str, *, limit: int = 100) -> tuple[AuditEntry, ...]:
        """The audit trail of a subject, latest entry first: logins, from where, and how sessions ended."""
        return self.run(existing.list_audit(self.issuer, subject, limit))

    def revoke(self, session_id: str, *, reason: str = "ended", by: str = "application") -> bool:
        """End a session, at once. Returns whether this call ended it."""
        return self.run(existing.end_session(self.issuer, session_id, reason=reason, by=by))

    def revoke_all(
        self, subject: str, *, except_id: str | None = None, reason: str = "ended", by: str = "application"
    ) -> int:
        """End all sessions of a subject (except one), at once. Returns how many this call ended."""
        return self.run(existing.end_all(self.issuer, subject, except_id=except_id, reason=reason, by=by))

    def overview(self, *, since: float | None = None, exact: bool = False) -> Overview:
        """Count the sessions, and what has happened since a moment (seconds, UTC; by default a day ago).

        Unless `exact`, only a part of a large store is read, and the numbers are extrapolated.
        """
        return self.run(overview.overview(self.issuer, since=since, steps=None if exact else STEPS_AT_A_GLANCE))

    def latest(
        self, *, client_id: str = "", device: str = "", before: float | None = None, cursor: str = "", limit: int = 100
    ) -> Page:
        """Live sessions of all subjects, latest login first, in pages: `cursor` is that of the page before.

        client_id, device (a part of its name) and before (seconds, UTC) select among them.
        """
        which = which_sessions(before, client_id, device)
        return self.run(overview.latest(self.issuer, which, cursor=cursor, limit=limit))

    def count_where(self, *, before: float | None = None, client_id: str = "", device: str = "") -> int:
        """Count the live sessions that `revoke_where` would end."""
        return self.run(overview.count_where(self.issuer, which_sessions(before, client_id, device)))

    def revoke_where(
        self, *, before: float | None = None, client_id: str = "", device: str = "", by: str = "application"
    ) -> int:
        """End all sessions, or those that match all arguments: began before a moment (seconds, UTC), belong to a
        client, contain this in the device's name. Returns how many this ended.

        Takes effect at once, for access tokens as well. The sessions are then ended step by step, without blocking
        others.
        """
        which = which_sessions(before, client_id, device)
        made = self.run(overview.cut_off(self.issuer, which, by))
        ended, _ = self.run(overview.sweep(self.issuer, made))
        return ended

    def run(self, flow: Flow[T]) -> T:
        """Run a flow and return its result."""
        if not self._awake:
            self._wake()
        return drive(flow, self.store, self._hook)

    async def arun(self, flow: Flow[T]) -> T:
        """Run a flow from asyncio code, without blocking the event loop."""
        if not self._awake:
            await asyncio.to_thread(self._wake)
        return await adrive(flow, self.store, self._hook)

    def _watch(self, stopped: threading.Event, begun: "Future[None]") -> None:
        try:
            begun.set_result(drive(self._upkeep(), self.store, self._hook))
        except BaseException as problem:  # noqa: BLE001 - whoever waits for the beginning is told
            begun.set_exception(problem)
            return
        while not stopped.wait(self._poll):
            try:
                drive(self._upkeep(), self.store, self._hook)
            except Exception as problem:  # noqa: BLE001 - whatever it was, the next round may go better
                self._failed_upkeep(problem)

    def close(self) -> None:
        """Stop following the store and close it."""
        with self._waking:
            self._stopped.set()
            self._awake = False
            self._close_store()

    def __enter__(self) -> Self:
        if self._closed:
            self._open_store()
            self._wake()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTenure(Deployment):
    """Sessions for asyncio code. Belongs to one event loop; close it, or use it with `async with`.

    It may be entered again after it was closed, in another event loop too, and goes on in a child process after a fork.
    """

    def _begin(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._watcher: asyncio.Task[None] | None = None
        self._starting: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @property
    def started(self) -> bool:
        """Whether the signing keys are loaded and a running event loop follows the store."""
        return self._watcher is not None and not self._watcher.get_loop().is_closed()

    async def login(
        self,
        subject: str,
        *,
        claims: Mapping[str, Any] | None = None,
        device: str = "",
        client_id: str = FIRST_PARTY,
        scope: str = "",
        address: str = "",
        thumbprint: str | None = None,
    ) -> TokenPair:
        """Like Tenure.login."""
        details = {"device": device, "client_id": client_id, "scope": scope, "address": address}
        return await self.run(self._login(subject, claims, thumbprint, **details))

    async def refresh(
        self,
        refresh_token: str,
        *,
        attempt: str | None = None,
        client_id: str = FIRST_PARTY,
        scope: str | None = None,
        address: str = "",
        thumbprint: str | None = None,
    ) -> TokenPair:
        """Like Tenure.refresh."""
        details = {"attempt": attempt, "client_id": client_id, "scope": scope, "address": address}
        return await self.run(self._refresh(refresh_token, thumbprint, **details))

    async def verify(self, access_token: str, *, proof: str | None = None, method: str = "", url: str = "") -> Claims:
        """Like Tenure.verify."""
        await self._be_awake()
        return self.issuer.verified(access_token, proof=proof, method=method, urls=[url])

    async def sessions(self, subject: str) -> tuple[Session, ...]:
        """Like Tenure.sessions."""
        return await self.run(existing.list_live(self.issuer, subject))

    async def audit(self, subject: str, *, limit: int = 100) -> tuple[AuditEntry, ...]:
        """Like Tenure.audit."""
        return await self.run(existing.list_audit(self.issuer, subject, limit))

    async def revoke(self, session_id: str, *, reason: str = "ended", by: str = "application") -> bool:
        """Like Tenure.revoke."""
        return await self.run(existing.end_session(self.issuer, session_id, reason=reason, by=by))

    async def revoke_all(
        self, subject: str, *, except_id: str | None = None, reason: str = "ended", by: str = "application"
    ) -> int:
        """Like Tenure.revoke_all."""
        return await self.run(existing.end_all(self.issuer, subject, except_id=except_id, reason=reason, by=by))

    async def overview(self, *, since: float | None = None, exact: bool = False) -> Overview:
        """Like Tenure.overview."""
        return await self.run(overview.overview(self.issuer, since=since, steps=None if exact else STEPS_AT_A_GLANCE))

    async def latest(
        self, *, client_id: str = "", device: str = "", before: float | None = None, cursor: str = "", limit: int = 100
    ) -> Page:
        """Like Tenure.latest."""
        which = which_sessions(before, client_id, device)
        return await self.run(overview.latest(self.issuer, which, cursor=cursor, limit=limit))

    async def count_where(self, *, before: float | None = None, client_id: str = "", device: str = "") -> int:
        """Like Tenure.count_where."""
        return await self.run(overview.count_where(self.issuer, which_sessions(before, client_id, device)))

    async def revoke_where(
        self, *, before: float | None = None, client_id: str = "", device: str = "", by: str = "application"
    ) -> int:
        """Like Tenure.revoke_where."""
        which = which_sessions(before, client_id, device)
        made = await self.run(overview.cut_off(self.issuer, which, by))
        ended, _ = await self.run(overview.sweep(self.issuer, made))
        return ended

    async def until_revoked(self, session_id: str) -> None:
        """Wait until this instance hears that a session has ended, for example to close its connections."""
        await self._be_awake()
        await until_revoked(self.issuer, session_id)

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow and return its result."""
        await self._be_awake()
        return await adrive(flow, self.store, self._hook)

    async def start(self) -> None:
        """Load the signing keys and follow the store, also again after `close`. The first use does so by itself."""
        if self._closed:
            self._open_store()
        await self._be_awake()

    async def _be_awake(self) -> None:
        self._check_open()
        if self.started:
            return
        loop = asyncio.get_running_loop()
        if self._starting is None or self._starting[0] is not loop:
            self._starting = loop, asyncio.Lock()
        async with self._starting[1]:
            if not self.started:
                await adrive(self._upkeep(), self.store, self._hook)
                self.store.watch(self.issuer.heard_revoked)
                self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll)
            try:
                await adrive(self._upkeep(), self.store, self._hook)
            except Exception as problem:  # noqa: BLE001 - whatever it was, the next round may go better
                self._failed_upkeep(problem)

    async def close(self) -> None:
        """Stop following the store and close it."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None and watcher.get_loop() is asyncio.get_running_loop():
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
        elif watcher is not None and not watcher.get_loop().is_closed():
            watcher.get_loop().call_soon_threadsafe(watcher.cancel)
        self._close_store()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def until_revoked(issuer: Issuer, session_id: str) -> None:
    """Wait until this instance hears that a session has ended."""
    loop, revoked = asyncio.get_running_loop(), asyncio.Event()
    take_back = issuer.checker.when_revoked(session_id, lambda: loop.call_soon_threadsafe(revoked.set))
    try:
        await revoked.wait()
    finally:
        take_back()
