"""A session on a device: who is logged in, with an access token that is good whenever it is asked for."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tenure.client.core import (
    FIRST_PAUSE,
    LOCK_SECONDS,
    Action,
    Answer,
    Clear,
    ClientEvent,
    Credentials,
    Flow,
    Load,
    OriginRefused,
    RefreshFailed,
    Renewed,
    Save,
    Send,
    SignedOut,
    Sleep,
    TryLock,
    lifetime,
    renew,
)
from tenure.client.endpoints import Endpoints, StandardEndpoints, TenureEndpoints
from tenure.client.sender import Sender
from tenure.client.storage import MemoryStorage, Release, Storage
from tenure.errors import ConfigurationError
from tenure.inputs import check_function, check_methods, check_seconds, check_setting
from tenure.origins import is_loopback, origin_of

if TYPE_CHECKING:
    from tenure.client.auth import SessionAuth

_LONGEST_MARGIN = 30.0


class Session:
    """The client's side of a session. Safe to share between threads, asyncio tasks and, by its storage, processes.

    base: where tenure's endpoints are ("https://api.example.com/auth"). storage: where the credentials are kept.
    origins: further origins that the access token may be sent to; by default, only base's own. on_event: is called
    with each ClientEvent. timeout: for one request to the token endpoint, in seconds. attempts and patience: how often,
    and for how many seconds in all, one refresh is tried before RefreshFailed is raised.
    """

    def __init__(
        self,
        base: str = "",
        *,
        storage: Storage | None = None,
        origins: list[str] | None = None,
        on_event: Callable[[ClientEvent], object] | None = None,
        timeout: float = 10.0,
        attempts: int = 5,
        patience: float = 30.0,
        endpoints: Endpoints | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        check_setting("base", base, str, "a URL")
        check_setting("origins", [] if origins is None else origins, (list, tuple, set, frozenset), "a list of origins")
        for origin in origins or ():
            check_setting("An origin", origin, str, "text")
        check_seconds("timeout", timeout)
        check_seconds("patience", patience)
        if type(attempts) is not int or attempts < 1:
            raise ConfigurationError("attempts is a whole number from 1.")
        check_function("monotonic", monotonic)
        if on_event is not None:
            check_function("on_event", on_event)
        check_methods("endpoints", endpoints, "refresh_request", "login_request", "logout_request")
        check_methods("storage", storage, "load", "save", "clear", "try_lock")
        self._endpoints = TenureEndpoints(base) if endpoints is None else endpoints
        self._storage = MemoryStorage() if storage is None else storage
        self._origins = {origin_of(url) for url in (self._endpoints.refresh_url, *(origins or []))}
        for origin in self._origins:
            _check_safe(origin)
        self._on_event = on_event
        self._sender = Sender(timeout, attempts, patience)
        self._monotonic = monotonic
        self._access_token: str | None = None
        self._refresh_at: float | None = None
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
        """Whether credentials are there. Only a refresh shows whether the server still honours them."""
        return Credentials.of_text(self._storage.load()) is not None

    def login(self, username: str, password: str, device: str = "") -> None:
        """Log in with a name and a password. Raises SignedOut for wrong ones, RefreshFailed for no answer."""
        answer = self._sender.send(self._endpoints.login_request(username, password, device))
        self._begin(answer)

    async def alogin(self, username: str, password: str, device: str = "") -> None:
        """As `login`."""
        answer = await self._sender.asend(self._endpoints.login_request(username, password, device))
        await asyncio.to_thread(self._begin, answer)

    def adopt(self, refresh_token: str, access_token: str | None = None, expires_in: float | None = None) -> None:
        """Begin with tokens that were got elsewhere."""
        begun = Credentials(refresh_token, access_token).to_text()
        self._alone(lambda: self._storage.save(begun))
        self._keep(access_token, expires_in)
        self._tell(ClientEvent("signed_in"))

    def logout(self) -> None:
        """End the session: here in any case, and at the server if it can be reached."""
        held = self._forget()
        if held is not None:
            self._sender.send(self._endpoints.logout_request(held.refresh_token))

    async def alogout(self) -> None:
        """As `logout`."""
        held = await asyncio.to_thread(self._forget)
        if held is not None:
            await self._sender.asend(self._endpoints.logout_request(held.refresh_token))

    def token(self, *, surely: bool = False) -> str:
        """An access token, refreshed if it is about to expire. `surely`: also if nothing is known of its age."""
        if self._access_token is not None and self._is_good(surely):
            return self._access_token
        return self.renewed(self._useless(surely))

    async def atoken(self, *, surely: bool = False) -> str:
        """As `token`."""
        if self._access_token is not None and self._is_good(surely):
            return self._access_token
        return await self.arenewed(self._useless(surely))

    def renewed(self, refused: str | None) -> str:
        """An access token other than the refused one. Raises SignedOut and RefreshFailed."""
        with self._one_at_a_time:
            if self._access_token not in (None, refused):
                return str(self._access_token)
            return self._drive(renew(refused, _fresh_key))

    async def arenewed(self, refused: str | None) -> str:
        """As `renewed`. All tasks of an event loop that ask at the same time wait for the same refresh."""
        if self._access_token not in (None, refused):
            return str(self._access_token)
        loop = asyncio.get_running_loop()
        under_way = self._under_way.get(loop)
        if under_way is None:
            under_way = self._under_way[loop] = loop.create_task(self._adrive(renew(refused, _fresh_key)))
            under_way.add_done_callback(lambda _: self._under_way.pop(loop))
        return await asyncio.shield(under_way)

    def check_destination(self, url: str) -> None:
        """Raise OriginRefused unless `url` is of an origin that this session's token may be sent to."""
        if origin_of(url) not in self._origins:
            raise OriginRefused(
                f"The access token is for {', '.join(sorted(self._origins))}, and is not sent to {origin_of(url)}. "
                "If that is right, name that origin in Session(origins=[…])."
            )

    def _is_good(self, surely: bool) -> bool:
        return not surely if self._refresh_at is None else self._monotonic() < self._refresh_at

    def _useless(self, surely: bool) -> str | None:
        """The access token that is not to be used: the one at hand, or, to be sure, the stored one of unknown age."""
        if self._access_token is not None or not surely:
            return self._access_token
        held = Credentials.of_text(self._storage.load())
        return None if held is None else held.access_token

    def _keep(self, access_token: str | None, expires_in: float | None) -> None:
        self._access_token = access_token
        margin = 0.0 if expires_in is None else min(_LONGEST_MARGIN, expires_in / 10)
        self._refresh_at = None if expires_in is None else self._monotonic() + expires_in - margin

    def _begin(self, answer: Answer | None) -> None:
        content = {} if answer is None else answer.content()
        if answer is not None and answer.status == 200 and "access_token" in content and "refresh_token" in content:
            self.adopt(content["refresh_token"], content["access_token"], lifetime(content))
        elif content.get("error") == "invalid_grant":
            raise SignedOut(None, str(content.get("error_description", "The login was refused.")))
        else:
            raise RefreshFailed("The login was not answered as it should be. Try again later.")

    def _forget(self) -> Credentials | None:
        held = Credentials.of_text(self._storage.load())
        self._alone(self._storage.clear)
        self._keep(None, None)
        if held is not None:
            self._tell(ClientEvent("signed_out", "logged_out"))
        return held

    def _alone(self, work: Callable[[], None]) -> None:
        """Do `work` under the storage's lock, so that no refresh is about to write; if it is never free, without."""
        give_up = time.monotonic() + LOCK_SECONDS
        while (release := self._storage.try_lock()) is None and time.monotonic() < give_up:
            time.sleep(FIRST_PAUSE)
        try:
            work()
        finally:
            if release is not None:
                release()

    def _tell(self, event: ClientEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _drive(self, flow: Flow[Renewed]) -> str:
        releases: list[Release] = []
        try:
            action = next(flow)
            while True:
                if isinstance(action, Sleep):
                    time.sleep(action.seconds)
                    told = None
                elif isinstance(action, Send):
                    told = self._sender.send(self._endpoints.refresh_request(action.credentials))
                else:
                    told = self._perform(action, releases)
                action = flow.send(told)
        except StopIteration as finished:
            return self._finished(finished.value)
        except SignedOut as ended:
            raise self._ended(ended) from None
        finally:
            for release in releases:
                release()

    async def _adrive(self, flow: Flow[Renewed]) -> str:
        releases: list[Release] = []
        try:
            action = next(flow)
            while True:
                if isinstance(action, Sleep):
                    await asyncio.sleep(action.seconds)
                    told = None
                elif isinstance(action, Send):
                    told = await self._sender.asend(self._endpoints.refresh_request(action.credentials))
                else:
                    told = await asyncio.to_thread(self._perform, action, releases)
                action = flow.send(told)
        except StopIteration as finished:
            return self._finished(finished.value)
        except SignedOut as ended:
            raise self._ended(ended) from None
        finally:
            for release in releases:
                release()

    def _perform(self, action: Action, releases: list[Release]) -> Any:
        match action:
            case TryLock():
                release = self._storage.try_lock()
                releases += [] if release is None else [release]
                return release is not None
            case Load():
                return Credentials.of_text(self._storage.load())
            case Save(credentials):
                self._storage.save(credentials.to_text())
            case Clear():
                self._storage.clear()
        return None

    def _finished(self, renewed: Renewed) -> str:
        self._keep(renewed.credentials.access_token, renewed.expires_in)
        if renewed.refreshed:
            self._tell(ClientEvent("refreshed"))
        return str(renewed.credentials.access_token)

    def _ended(self, ended: SignedOut) -> SignedOut:
        self._keep(None, None)
        if ended.reason is not None:
            self._tell(ClientEvent("signed_out", ended.reason))
        return ended


def _fresh_key() -> str:
    return secrets.token_urlsafe(18)


def _check_safe(origin: str) -> None:
    parts = urlsplit(origin)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise OriginRefused(f"{origin} is not https: tokens are sent over plain http only to this machine itself.")
