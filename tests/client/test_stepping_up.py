"""A resource that asks the user to authenticate once more (RFC 9470), in every HTTP library."""

import asyncio
import gc
from typing import Any

import httpx
import httpx2
import psutil
import pytest
import requests

from tenure.client import ClientEvent, Session, SignedOut, StepUpRequired
from tests.client.live import PASSWORD, Live


class User:
    """Gives the password once more when asked, unless they don't want to."""

    def __init__(self, live: Live, *, wants: bool = True, **settings: Any) -> None:
        self.live, self.wants = live, wants
        self.asked: list[StepUpRequired] = []
        self.events: list[ClientEvent] = []
        told = {"on_event": self.events.append, "clock": live.clock}
        self.session = Session(live.base, step_up=self.step_up, **{**told, **settings})
        self.session.login("ada", PASSWORD)
        live.clock.advance(301)

    def step_up(self, required: StepUpRequired) -> bool:
        self.asked.append(required)
        if self.wants:
            body = {"username": "ada", "password": PASSWORD}
            answer = httpx2.post(f"{self.live.base}/step-up", json=body, auth=self.session.auth)
            assert answer.status_code == 200, answer.text
        return self.wants


def get(library: Any, session: Session, url: str) -> Any:
    if library is requests:
        with requests.Session() as client:
            client.auth = session.auth
            return client.get(url)
    with library.Client(auth=session.auth) as client:
        return client.get(url)


@pytest.mark.parametrize("bind", [False, True])
@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_the_request_is_repeated_once_the_user_has_done_it(live: Live, library: Any, bind: bool) -> None:
    user = User(live, bind=bind)
    for _ in range(2):
        assert get(library, user.session, f"{live.url}/api/sensitive").status_code == 200
    assert [(one.max_age, one.acr_values) for one in user.asked] == [(300, ())]
    assert ClientEvent("step_up_required") in user.events
    assert live.refreshes == 1


@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_otherwise_the_application_gets_an_error_of_its_own(live: Live, library: Any) -> None:
    user = User(live, wants=False)
    with pytest.raises(StepUpRequired) as raised:
        get(library, user.session, f"{live.url}/api/sensitive")
    assert raised.value.max_age == 300
    without = Session(live.base, clock=live.clock)
    without.login("ada", PASSWORD)
    with pytest.raises(StepUpRequired) as raised:
        get(library, without, f"{live.url}/api/strong")
    assert (raised.value.max_age, raised.value.acr_values) == (None, ("phr",))
    assert get(library, user.session, f"{live.url}/api/me").status_code == 200
    assert live.refreshes == 0


@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_the_error_leaves_no_connection_open(live: Live, library: Any) -> None:
    """A connection that is not closed is a ResourceWarning where it is collected, which fails the test."""
    user = User(live, wants=False)
    with pytest.raises(StepUpRequired):
        get(library, user.session, f"{live.url}/api/sensitive")
    user.asked.clear()  # whose traceback holds the response
    gc.collect()
    own = [one for one in psutil.Process().net_connections("tcp4") if one.raddr and one.raddr.port == live.port]
    assert [one.status for one in own if one.status not in ("TIME_WAIT", "NONE")] == []


@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_what_does_not_suffice_is_not_asked_for_again(live: Live, library: Any) -> None:
    user = User(live)
    answer = get(library, user.session, f"{live.url}/api/strong")
    assert answer.status_code == 401
    assert len(user.asked) == 1


@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_a_token_that_has_expired_as_well_is_renewed_first(live: Live, library: Any) -> None:
    user = User(live)
    live.expire()
    assert get(library, user.session, f"{live.url}/api/sensitive").status_code == 200
    assert len(user.asked) == 1


def test_asyncio(live: Live) -> None:
    asked: list[StepUpRequired] = []

    async def story(*, wants: bool) -> int:
        session = Session(live.base, clock=live.clock, step_up=step_up)
        await session.alogin("ada", PASSWORD)
        live.clock.advance(301)

        async def ask() -> Any:
            async with httpx2.AsyncClient(auth=session.auth) as client:
                return await client.post(f"{live.base}/step-up", json={"username": "ada", "password": PASSWORD})

        here.update(ask=ask, wants=wants)
        async with httpx2.AsyncClient(auth=session.auth) as client:
            return int((await client.get(f"{live.url}/api/sensitive")).status_code)

    here: dict[str, Any] = {}

    async def step_up(required: StepUpRequired) -> bool:
        asked.append(required)
        return here["wants"] and (await here["ask"]()).status_code == 200

    assert asyncio.run(story(wants=True)) == 200
    with pytest.raises(StepUpRequired):
        asyncio.run(story(wants=False))
    assert len(asked) == 2


def test_a_function_for_asyncio_does_not_do_in_blocking_code(live: Live) -> None:
    async def step_up(_: StepUpRequired) -> bool:
        return True

    session = Session(live.base, clock=live.clock, step_up=step_up)
    session.login("ada", PASSWORD)
    live.clock.advance(301)
    with pytest.raises(StepUpRequired):
        get(httpx2, session, f"{live.url}/api/sensitive")


def test_a_stream_is_not_sent_twice(live: Live) -> None:
    user = User(live)
    with httpx2.Client(auth=user.session.auth) as client, pytest.raises(StepUpRequired):
        client.post(f"{live.url}/api/sensitive", content=iter([b"once"]))
    assert user.asked == []


def test_what_the_application_raises_reaches_it(live: Live) -> None:
    def step_up(_: StepUpRequired) -> bool:
        raise SignedOut("changed my mind")

    session = Session(live.base, clock=live.clock, step_up=step_up)
    session.login("ada", PASSWORD)
    live.clock.advance(301)
    with pytest.raises(SignedOut, match="changed my mind"):
        get(httpx2, session, f"{live.url}/api/sensitive")
    assert get(httpx2, session, f"{live.url}/api/me").status_code == 200


@pytest.mark.parametrize("remember", [True, False, None])
def test_not_to_be_remembered(live: Live, remember: bool | None) -> None:
    session = Session(live.base, clock=live.clock)
    session.login("ada", PASSWORD, remember=remember)
    (made,) = live.run(live.auth.sessions("ada"))
    assert made.lifetime == {True: "remembered", False: "browser", None: ""}[remember]
