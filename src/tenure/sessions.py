"""Tenure: sessions for blocking code. `async_sessions.py` has the same for asyncio.

Both run the same flows, one with blocking calls, one with `await`. They differ in nothing else.
"""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self, TypeVar

from tenure.core import existing, overview
from tenure.core.access import Claims
from tenure.core.effects import Flow
from tenure.core.flows import FIRST_PARTY
from tenure.core.issuer import TokenPair
from tenure.core.overview import STEPS_AT_A_GLANCE, Overview, which_sessions
from tenure.core.session import AuditEntry, Page, Session
from tenure.core.step_up import Requirement
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
        lifetime: str = "",
        acr: str | None = None,
        amr: Sequence[str] = (),
    ) -> TokenPair:
        """Begin a session for an authenticated user, and return its first pair of tokens.

        claims: for every access token of this session. device: a name that the user will recognise. address: where the
        login comes from, for the audit trail. lifetime: the name of one of the policy's: "remembered", "browser", or
        your own. acr, amr: how the user was authenticated, for the access tokens. Raises LoginRefused at the limit of
        sessions.
        """
        details: dict[str, Any] = {"device": device, "client_id": client_id, "scope": scope, "address": address}
        details |= {"lifetime": lifetime, "acr": acr, "amr": amr}
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

    def stepped_up(
        self, session_id: str, *, acr: str | None = None, amr: Sequence[str] = (), address: str = ""
    ) -> Session:
        """Record that a session's user has just been authenticated once more: its next access token says so.

        acr, amr: how, as in `login`. Raises SessionEnded if the session is not live.
        """
        return self.run(existing.step_up(self.issuer, session_id, acr=acr, amr=amr, address=address))

    def verify(
        self,
        access_token: str,
        *,
        proof: str | None = None,
        method: str = "",
        url: str = "",
        needs: Requirement | None = None,
    ) -> Claims:
        """The claims of a valid access token. Raises InvalidAccessToken for any other. Does not ask the store.

        proof: the DPoP header of a request whose Authorization is of that scheme; method, url: of that request, as the
        client knows it. Without them, a token that is bound to a key is refused (ProofRequired). needs: how its user
        has to be authenticated, recent(…) or acr(…); otherwise InsufficientAuthentication.
        """
        if not self._awake:
            self._wake()
        return self.issuer.verified(access_token, proof=proof, method=method, urls=[url], needs=needs)

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
