"""AsyncTenure: sessions for asyncio code, with the methods of Tenure."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from tenure.core import existing, overview
from tenure.core.access import Claims
from tenure.core.effects import Flow
from tenure.core.flows import FIRST_PARTY
from tenure.core.issuer import Issuer, TokenPair
from tenure.core.overview import STEPS_AT_A_GLANCE, Overview, which_sessions
from tenure.core.session import AuditEntry, Page, Session
from tenure.core.step_up import Requirement
from tenure.driving.deployment import Deployment
from tenure.driving.drivers import adrive

T = TypeVar("T")

_log = logging.getLogger("tenure")


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
        lifetime: str = "",
        acr: str | None = None,
        amr: Sequence[str] = (),
    ) -> TokenPair:
        """Like Tenure.login."""
        details: dict[str, Any] = {"device": device, "client_id": client_id, "scope": scope, "address": address}
        details |= {"lifetime": lifetime, "acr": acr, "amr": amr}
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

    async def stepped_up(
        self, session_id: str, *, acr: str | None = None, amr: Sequence[str] = (), address: str = ""
    ) -> Session:
        """Like Tenure.stepped_up."""
        return await self.run(existing.step_up(self.issuer, session_id, acr=acr, amr=amr, address=address))

    async def verify(
        self,
        access_token: str,
        *,
        proof: str | None = None,
        method: str = "",
        url: str = "",
        needs: Requirement | None = None,
    ) -> Claims:
        """Like Tenure.verify."""
        await self._be_awake()
        return self.issuer.verified(access_token, proof=proof, method=method, urls=[url], needs=needs)

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
