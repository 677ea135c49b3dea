"""Send a session's own requests, with a deadline for each, and retry with jittered pauses where that may help."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
import tenacity

from tenure.client.core import Answer, is_definite, is_garbled, retry_after
from tenure.client.endpoints import Post
from tenure.client.proving import HEADER, Prover, asks_for_nonce
from tenure.core.errors import ConfigurationError

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
BRIEF_SECONDS = 3.0
"""How long a request may take that nobody needs the answer of right now."""


class _Again(Exception):
    """Send the same request again; `pause` is how long the server asks to wait, in seconds, or 0."""

    def __init__(self, answer: Answer | None) -> None:
        super().__init__()
        self.answer, self.pause = answer, retry_after(answer)


class Sender:
    """Sends requests. timeout: for one try, in seconds. attempts, patience: at most this many tries in this many
    seconds.

    http: the client to send with, of httpx2, httpx or requests; None for one of httpx2, made for each request. prover:
    makes a proof for each try, if the session is to be bound to a key.
    """

    def __init__(
        self, timeout: float, attempts: int, patience: float, http: Any = None, prover: Prover | None = None
    ) -> None:
        self.prover = prover
        self._timeout, self._attempts, self._patience, self._http = timeout, attempts, patience, http
        self._is_async = http is not None and hasattr(http, "aclose")
        if http is not None and not callable(getattr(http, "post", None)):
            raise ConfigurationError(
                f"http is a client of httpx2, httpx or requests, not {type(http).__name__}. A transport goes into one: "
                "httpx2.Client(transport=…)."
            )

    def send(self, post: Post, *, thorough: bool = True) -> Answer | None:
        """The best response that came; None if none came."""
        if self._is_async:
            raise ConfigurationError("This session sends with an asyncio client: use atoken(), alogin(), alogout().")
        try:
            for attempt in tenacity.Retrying(**self._retrying(thorough)):
                with attempt:
                    answer = self._once(self._proven(post), self._timeout_of(thorough))
                    if self._asks_for_nonce(post, answer):
                        answer = self._once(self._proven(post), self._timeout_of(thorough))
                    return _definite(answer)
        except _Again as last:
            return last.answer
        raise AssertionError("retrying ends by an answer or an exception")

    async def asend(self, post: Post, *, thorough: bool = True) -> Answer | None:
        """Like `send`."""
        try:
            async for attempt in tenacity.AsyncRetrying(**self._retrying(thorough)):
                with attempt:
                    answer = await self._aonce(await self._aproven(post), self._timeout_of(thorough))
                    if self._asks_for_nonce(post, answer):
                        answer = await self._aonce(await self._aproven(post), self._timeout_of(thorough))
                    return _definite(answer)
        except _Again as last:
            return last.answer
        raise AssertionError("retrying ends by an answer or an exception")

    def _proven(self, post: Post) -> Post:
        if self.prover is None:
            return post
        return replace(post, headers={**post.headers, HEADER: self.prover.proof("POST", post.url)})

    async def _aproven(self, post: Post) -> Post:
        return post if self.prover is None else await asyncio.to_thread(self._proven, post)

    def _asks_for_nonce(self, post: Post, answer: Answer | None) -> bool:
        if self.prover is None or answer is None:
            return False
        self.prover.learn(post.url, answer.headers)
        return asks_for_nonce(answer.status, answer.headers, answer.body)

    def _retrying(self, thorough: bool) -> dict[str, Any]:
        return {
            "retry": tenacity.retry_if_exception(self._is_worth_waiting),
            "stop": tenacity.stop_after_attempt(self._attempts if thorough else 1)
            | tenacity.stop_before_delay(self._patience),
            "wait": _pause,
            "reraise": True,
        }

    def _timeout_of(self, thorough: bool) -> float:
        return self._timeout if thorough else min(self._timeout, BRIEF_SECONDS)

    def _is_worth_waiting(self, problem: BaseException) -> bool:
        return isinstance(problem, _Again) and problem.pause <= self._patience

    def _once(self, post: Post, timeout: float) -> Answer | None:
        if self._http is not None:
            return _sent_by(self._http, post, timeout)
        try:
            with httpx2.Client(timeout=timeout) as http:
                return _answer(http.post(post.url, headers=post.headers, content=post.body))
        except httpx2.RequestError:
            return None

    async def _aonce(self, post: Post, timeout: float) -> Answer | None:
        if self._http is not None and not self._is_async:
            return await asyncio.to_thread(_sent_by, self._http, post, timeout)
        try:
            if self._http is not None:
                return _answer(await self._http.post(post.url, **_details(post, timeout)))
            async with httpx2.AsyncClient(timeout=timeout) as http:
                return _answer(await http.post(post.url, headers=post.headers, content=post.body))
        except Exception as problem:
            if _is_of_sending(problem):
                return None
            raise


def _sent_by(http: Any, post: Post, timeout: float) -> Answer | None:
    """Send with the application's own client, of any of three libraries."""
    try:
        if hasattr(http, "mount") and hasattr(http, "get_adapter"):  # requests
            return _answer(
                http.post(
                    post.url,
                    data=post.body,
                    headers=post.headers,
                    timeout=timeout,
                    allow_redirects=False,
                    auth=lambda request: request,
                )
            )
        return _answer(http.post(post.url, **_details(post, timeout)))
    except Exception as problem:
        if _is_of_sending(problem):
            return None
        raise


def _details(post: Post, timeout: float) -> dict[str, Any]:
    # Without the client's own auth, which may be this session's, and without following redirects.
    return {
        "content": post.body,
        "headers": post.headers,
        "timeout": timeout,
        "auth": None,
        "follow_redirects": False,
    }


def _is_of_sending(problem: Exception) -> bool:
    """Whether the exception is a transport error: httpx, httpx2 and requests each have their own class."""
    return any(kind.__name__ in ("RequestError", "RequestException") for kind in type(problem).__mro__)


def _answer(response: Any) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content)


def _definite(answer: Answer | None) -> Answer | None:
    if not is_definite(answer) or is_garbled(answer):
        raise _Again(answer)
    return answer


def _pause(state: tenacity.RetryCallState) -> float:
    """Wait as long as the server asks, otherwise with exponential backoff and jitter."""
    problem = state.outcome.exception() if state.outcome is not None else None
    asked = problem.pause if isinstance(problem, _Again) else 0.0
    jittered = tenacity.wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS)
    return asked or jittered(state)
