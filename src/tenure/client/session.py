"""The client's session: who is logged in on this device, with a valid access token whenever one is needed."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from tenure.client.at_hand import AtHand
from tenure.client.core import (
    Answer,
    Flow,
    Renewed,
    credentials_in,
    enter,
    has_tokens,
    leave,
    lifetime,
    renew,
    tell_logouts,
)
from tenure.client.driving import Driver
from tenure.client.endpoints import Endpoints, StandardEndpoints, TenureEndpoints
from tenure.client.errors import ClientEvent, OriginRefused, RefreshFailed, SignedOut, StorageFailed
from tenure.client.keeping import Keeping, claims_of
from tenure.client.proving import Prover, asks_for_nonce
from tenure.client.record import Credentials, Record
from tenure.client.refusals import Refusals
from tenure.client.sender import Sender
from tenure.client.stepping_up import SteppingUp, StepUp
from tenure.client.storage import MemoryStorage, Storage
from tenure.core.errors import ConfigurationError, InvalidRequest
from tenure.core.forking import Forking, survive_forks
from tenure.core.inputs import check_function, check_methods, check_seconds, check_setting, check_text
from tenure.core.origins import is_loopback, origin_of

if TYPE_CHECKING:
    from tenure.client.auth import SessionAuth


class Session(Forking):
    """The client's side of a session. Safe to share between threads, asyncio tasks and, by its storage, processes.

    base: where tenure's endpoints are ("https://api.example.com/auth"). storage: where the credentials are kept, under
    the name of these endpoints. profile: a further name, for several sessions at the same endpoints. origins: further
    origins that the access token may be sent to; by default, only base's own. http: the client of httpx2, httpx or
    requests that sends this session's own requests. on_event: is called with each ClientEvent. timeout: for one request
    to the token endpoint, in seconds. attempts and patience: how often, and for how many seconds in all, one refresh is
    tried before RefreshFailed is raised. bind: bind the session to a key that is kept beside the credentials and never
    sent (DPoP, RFC 9449); "required": or else log out. Without it, a server that does not know this leaves the session
    unbound, which the event `not_bound` tells. step_up: lets the user authenticate once more where a resource asks for
    it (RFC 9470), and returns whether to repeat the request; otherwise StepUpRequired is raised.
    """

    def __init__(
        self,
        base: str = "",
        *,
        storage: Storage | None = None,
        profile: str = "",
        origins: list[str] | None = None,
        http: Any = None,
        on_event: Callable[[ClientEvent], object] | None = None,
        timeout: float = 10.0,
        attempts: int = 5,
        patience: float = 30.0,
        bind: bool | Literal["required"] = False,
        step_up: StepUp | None = None,
        endpoints: Endpoints | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_setting("base", base, str, "a URL")
        check_setting("profile", profile, str, "text")
        check_setting("origins", [] if origins is None else origins, (list, tuple, set, frozenset), "a list of origins")
        for origin in origins or ():
            check_setting("An origin", origin, str, "text")
        check_seconds("timeout", timeout)
        check_seconds("patience", patience)
        if bind is not True and bind is not False and bind != "required":
            raise ConfigurationError('bind is True, False or "required".')
        if type(attempts) is not int or attempts < 1:
            raise ConfigurationError("attempts is a whole number from 1.")
        check_function("monotonic", monotonic)
        check_function("clock", clock)
        for name, function in (("on_event", on_event), ("step_up", step_up)):
            if function is not None:
                check_function(name, function)
        check_methods("endpoints", endpoints, "refresh_request", "login_request", "logout_request")
        check_methods("storage", storage, "load", "swap", "try_lock")
        self._endpoints = TenureEndpoints(base) if endpoints is None else endpoints
        url = self._endpoints.refresh_url
        self._origins = {origin_of(one) for one in (url, *(origins or []))}
        for origin in self._origins:
            _check_safe(origin)
        name = f"{profile} {url}" if profile else url
        storage = MemoryStorage() if storage is None else storage
        self._kept = Keeping(storage, name, url, self._storage_failed)
        self._bind = bind
        self._prover = Prover(storage, name, clock) if bind else None
        self._on_event = on_event
        self._sender = Sender(timeout, attempts, patience, http, self._prover)
        self._driver = Driver(self._kept, self._sender, self._endpoints)
        self._refusals = Refusals()
        self.stepping_up = SteppingUp(step_up, self._tell)
        self._clock = clock
        self._at_hand = AtHand(monotonic, clock)
        self._failures = 0
        self._told_unbound = False
        self.after_fork_in_child()
        survive_forks(self)

    def after_fork_in_child(self) -> None:
        """No refresh is in progress in the child."""
        self._one_at_a_time = threading.Lock()
        self._under_way: dict[asyncio.AbstractEventLoop, asyncio.Task[str]] = {}

    @classmethod
    def standard(
        cls, token_endpoint: str, client_id: str, client_secret: str | None = None, **settings: Any
    ) -> "Session":
        """A session at any server with a standard token endpoint (RFC 6749 section 6); `adopt` its first tokens."""
        return cls(endpoints=StandardEndpoints(token_endpoint, client_id, client_secret), **settings)

    @property
    def auth(self) -> "SessionAuth":
        """For `httpx.Client(auth=…)`, `httpx.AsyncClient(auth=…)` and `requests.Session().auth = …`."""
        from tenure.client.auth import SessionAuth

        return SessionAuth(self)

    @property
    def signed_in(self) -> bool:
        """Whether there are credentials. Only a refresh shows whether the server still accepts them."""
        return self._kept.load().credentials is not None

    def login(self, username: str, password: str, device: str = "", *, remember: bool | None = None) -> None:
        """Log in with a name and a password. Raises SignedOut if they are wrong, RefreshFailed if the server does not
        respond.

        remember: False for a session that ends soon; by default the server decides. A session that was stored here
        before is logged out.
        """
        _check_login(username, password, device, remember)
        answer = self._sender.send(self._endpoints.login_request(username, password, device, remember))
        self._enter(_issued(answer, self._clock()))
        self._driver.run(tell_logouts(self._clock))

    async def alogin(self, username: str, password: str, device: str = "", *, remember: bool | None = None) -> None:
        """Like `login`."""
        _check_login(username, password, device, remember)
        answer = await self._sender.asend(self._endpoints.login_request(username, password, device, remember))
        await asyncio.to_thread(self._enter, _issued(answer, self._clock()))
        await self._driver.arun(tell_logouts(self._clock))

    def adopt(self, refresh_token: str, access_token: str | None = None, expires_in: float | None = None) -> None:
        """Begin with tokens obtained elsewhere. expires_in: the access token's remaining lifetime, in seconds."""
        _check_texts(refresh_token=refresh_token, access_token="" if access_token is None else access_token)
        now, lives = self._clock(), lifetime(expires_in)
        obtained = None if expires_in is None else now
        self._enter(Credentials(refresh_token, access_token, None, obtained, None if lives is None else now + lives))

    def logout(self) -> bool:
        """End the session, locally at once and at the server. Returns whether the server has acknowledged it.

        If the server can't be reached, the storage keeps the log-out, and the next use sends it.
        """
        self._leave()
        return self._driver.run(tell_logouts(self._clock))

    async def alogout(self) -> bool:
        """Like `logout`."""
        await asyncio.to_thread(self._leave)
        return await self._driver.arun(tell_logouts(self._clock))

    def token(self, *, surely: bool = False) -> str:
        """An access token that stays valid for a moment; refreshed if it is about to expire.

        surely: refresh also if its expiry is unknown. Raises SignedOut, and RefreshFailed if there is no valid token.
        """
        if (fresh := self._at_hand.fresh(surely)) is not None:
            return fresh
        spare, useless = self._at_hand.spare(), self._useless(surely)
        if spare is None:
            return self.renewed(useless)
        if not self._one_at_a_time.acquire(blocking=False):
            return spare
        try:
            return self._renew(useless, thorough=False)
        except RefreshFailed:
            return spare
        finally:
            self._one_at_a_time.release()

    async def atoken(self, *, surely: bool = False) -> str:
        """Like `token`."""
        if (fresh := self._at_hand.fresh(surely)) is not None:
            return fresh
        spare, useless = self._at_hand.spare(), await asyncio.to_thread(self._useless, surely)
        if spare is None:
            return await self.arenewed(useless)
        if asyncio.get_running_loop() in self._under_way:
            return spare
        try:
            return await self._arenew(useless, thorough=False)
        except RefreshFailed:
            return spare

    def headers(self, method: str, url: str) -> dict[str, str]:
        """The headers that carry the access token, with a proof if the session is bound: for HTTP clients of other
        libraries. Make them anew for each request. Raises as `token`, and OriginRefused."""
        self.check_destination(url)
        return self.headers_with(self.token(), method, url)

    async def aheaders(self, method: str, url: str) -> dict[str, str]:
        """Like `headers`."""
        self.check_destination(url)
        return self.headers_with(await self.atoken(), method, url)

    def headers_with(self, token: str, method: str, url: str) -> dict[str, str]:
        """The headers that carry this access token on a request."""
        held = self._at_hand.credentials
        if self._prover is None or held is None or not held.bound:
            return {"Authorization": f"Bearer {token}"}
        return {"Authorization": f"DPoP {token}", "DPoP": self._prover.proof(method, url, token, _skew(held))}

    def asks_for_nonce(self, url: str, status: int, headers: Mapping[str, str]) -> bool:
        """Whether a response asks for the same request with a nonce in its proof, which is known from now on."""
        if self._prover is None:
            return False
        self._prover.learn(url, headers)
        return asks_for_nonce(status, headers)

    def refresh(self) -> str:
        """Refresh now and return the new access token: after roles have changed, or to try again after
        RefreshFailed."""
        return self.renewed(self._useless(surely=True), asked=True)

    async def arefresh(self) -> str:
        """Like `refresh`."""
        return await self.arenewed(await asyncio.to_thread(self._useless, True), asked=True)

    def renewed(self, refused: str | None, *, asked: bool = False) -> str:
        """An access token other than the refused one. Raises SignedOut and RefreshFailed.

        Callers that wait for the same refresh share its failure. For a moment after a failure, only `asked` tries
        again.
        """
        before = self._failures
        with self._one_at_a_time:
            if (at_hand := self._at_hand.other_than(refused)) is not None:
                return at_hand
            if self._failures != before:
                raise RefreshFailed("The refresh that this call waited for has failed. The session is kept.")
            return self._renew(refused, asked=asked)

    async def arenewed(self, refused: str | None, *, asked: bool = False) -> str:
        """Like `renewed`. All tasks of an event loop that call it at the same time share one refresh."""
        if (at_hand := self._at_hand.other_than(refused)) is not None:
            return at_hand
        return await self._arenew(refused, asked=asked)

    def check_destination(self, url: str) -> None:
        """Raise OriginRefused unless this session's token may be sent to the origin of `url`."""
        check_setting("url", url, str, "text")
        if origin_of(url) not in self._origins:
            raise OriginRefused(
                f"The access token is for {', '.join(sorted(self._origins))}, and is not sent to {origin_of(url)}. "
                "If that is right, name that origin in Session(origins=[…])."
            )

    def may_help(self, url: str, refused: str) -> bool:
        """Whether another access token may be accepted at `url`, where this one was refused."""
        return self._refusals.may_help(origin_of(url), self._at_hand.credentials, refused, self._clock())

    def repeated(self, url: str, *, refused: bool) -> bool:
        """Record the result of a repeated request. Returns whether it shows that the origin refuses everything."""
        origin = origin_of(url)
        found = self._refusals.repeated(origin, self._at_hand.credentials, refused, self._clock())
        if found:
            self._tell(ClientEvent("token_refused", origin))
        return found

    def _useless(self, surely: bool) -> str | None:
        """The access token to replace: the one in memory, or, with `surely`, the stored one of unknown age."""
        if self._at_hand.token is not None or not surely:
            return self._at_hand.token
        kept = self._kept.load().credentials
        return None if kept is None else kept.access_token

    def _enter(self, credentials: Credentials) -> None:
        self._check_bound(credentials)
        try:
            self._driver.run(enter(credentials))
        except StorageFailed as problem:
            self._kept.begin(Record(credentials))
            self._storage_failed(str(problem))
        self._at_hand.hold(credentials)
        self._tell(ClientEvent("signed_in"))

    def _leave(self) -> None:
        left = self._driver.run(leave())
        self._at_hand.hold(None)
        if left:
            self._tell(ClientEvent("signed_out", "logged_out"))

    def _renew(self, seen: str | None, *, thorough: bool = True, asked: bool = False) -> str:
        flow = renew(seen, _fresh_key, self._clock, thorough=thorough, asked=asked)
        with self._observed():
            return self._finished(self._driver.run(flow))

    async def _arenew(self, seen: str | None, *, thorough: bool = True, asked: bool = False) -> str:
        loop = asyncio.get_running_loop()
        under_way = self._under_way.get(loop)
        if under_way is None:
            flow = renew(seen, _fresh_key, self._clock, thorough=thorough, asked=asked)
            under_way = self._under_way[loop] = loop.create_task(self._arenew_alone(flow))
            under_way.add_done_callback(self._is_over)
        return await asyncio.shield(under_way)

    async def _arenew_alone(self, flow: Flow[Renewed]) -> str:
        with self._observed():
            return self._finished(await self._driver.arun(flow))

    def _is_over(self, task: asyncio.Task[str]) -> None:
        self._under_way.pop(task.get_loop(), None)
        if not task.cancelled():
            task.exception()  # all waiting callers have the result

    @contextmanager
    def _observed(self) -> Iterator[None]:
        try:
            yield
        except RefreshFailed:
            self._failures += 1
            raise
        except SignedOut as ended:
            self._at_hand.hold(None)
            if ended.reason is not None:
                self._tell(ClientEvent("signed_out", ended.reason))
            raise

    def _check_bound(self, credentials: Credentials) -> None:
        if self._bind and not credentials.bound and credentials.access_token is not None:
            if self._bind == "required":
                raise SignedOut("not_bound", "The server does not bind sessions to a key (bind='required').")
            if not self._told_unbound:
                self._told_unbound = True
                self._tell(ClientEvent("not_bound"))

    def _finished(self, renewed: Renewed) -> str:
        if renewed.refreshed:
            self._check_bound(renewed.credentials)
        self._at_hand.hold(renewed.credentials)
        if renewed.refreshed:
            self._tell(ClientEvent("refreshed"))
        return str(renewed.credentials.access_token)

    def _storage_failed(self, reason: str) -> None:
        self._tell(ClientEvent("storage_failed", reason))

    def _tell(self, event: ClientEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)


def _issued(answer: Answer | None, now: float) -> Credentials:
    """The credentials in the response to a login. Raises SignedOut if it was refused, RefreshFailed otherwise."""
    content = {} if answer is None else answer.content()
    if answer is not None and answer.status == 200 and has_tokens(content) and content.get("refresh_token"):
        return credentials_in(content, content["refresh_token"], now)
    if content.get("error") == "invalid_grant":
        raise SignedOut(None, str(content.get("error_description", "The login was refused.")))
    raise RefreshFailed("The response to the login was not as expected. Try again later.")


def _check_login(username: object, password: object, device: object, remember: object) -> None:
    _check_texts(username=username, password=password, device=device)
    if remember is not None and not isinstance(remember, bool):
        raise InvalidRequest("remember is True, False or None.")


def _check_texts(**texts: object) -> None:
    for name, text in texts.items():
        check_text(name, text)


def _skew(held: Credentials) -> float:
    """How many seconds the issuer's clock is ahead of this device's: by when it says that it issued the token."""
    issued_at = claims_of(held.access_token or "").get("iat")
    if held.obtained_at is None or isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        return 0.0
    return issued_at - held.obtained_at


def _fresh_key() -> str:
    return secrets.token_urlsafe(18)


def _check_safe(origin: str) -> None:
    parts = urlsplit(origin)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise OriginRefused(f"{origin} is not https: tokens are sent over plain http only to this machine itself.")
