"""A load of refreshes against a running service: what an operator asks before going live.

Callers of its own sessions, which it makes with an API key and ends afterwards, refresh one after the other as clients
do: each keeps the token that it gets, and sends an attempt key with each request.
"""

import asyncio
import math
import multiprocessing
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2

from tenure.core.errors import ConfigurationError

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a load.

    seconds: how long it lasted. latencies: of the refreshes that succeeded, in seconds, sorted. errors: how often what
    came instead. own_share: which part of its processors the load itself took: near 1, it was the limit.
    """

    seconds: float
    latencies: tuple[float, ...]
    errors: Mapping[str, int]
    own_share: float

    @property
    def rate(self) -> float:
        """Refreshes a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, part: float) -> float:
        """The latency within which this part (0 to 1) of the refreshes succeeded, in seconds; NaN if none did."""
        if not self.latencies:
            return math.nan
        return self.latencies[min(len(self.latencies) - 1, math.ceil(part * len(self.latencies)) - 1)]

    def histogram(self) -> list[tuple[float, int]]:
        """How many refreshes took up to so many seconds (1, 2, 5, 10, 20 … ms) and longer than the line before."""
        if not self.latencies:
            return []
        bounds = [step * 10.0**power / 1000 for power in range(5) for step in (1, 2, 5)]
        counts = Counter(next((bound for bound in bounds if took <= bound), math.inf) for took in self.latencies)
        lines = [(bound, counts[bound]) for bound in (*bounds, math.inf)]
        kept = [number for number, (_, count) in enumerate(lines) if count]
        return lines[kept[0] : kept[-1] + 1]


def begin(
    url: str, api_key: str, *, callers: int, seconds: float, prefix: str, processes: int
) -> "list[Future[Measured]]":
    """Put a load on the service at `url` for so many seconds, from several processes, and don't wait for it."""
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    shares = [len(range(number, callers, processes)) for number in range(processes)]
    under_way = [pool.submit(_run, url, api_key, share, seconds, prefix) for share in shares if share]
    pool.shutdown(wait=False)
    return under_way


def result_of(under_way: "Sequence[Future[Measured]]") -> Measured:
    """What came of a load, once it is over. Raises ConfigurationError if it could not begin."""
    parts = [part.result() for part in under_way]
    return Measured(
        seconds=max(part.seconds for part in parts),
        latencies=tuple(sorted(took for part in parts for took in part.latencies)),
        errors=sum((Counter(part.errors) for part in parts), Counter()),
        own_share=sum(part.own_share for part in parts) / len(parts),
    )


def _run(url: str, api_key: str, callers: int, seconds: float, prefix: str) -> Measured:
    return asyncio.run(_load(url, api_key, callers, seconds, prefix))


async def _load(url: str, api_key: str, callers: int, seconds: float, prefix: str) -> Measured:
    limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=TIMEOUT_SECONDS) as http:
        subjects = [f"loadtest-{secrets.token_hex(4)}-{number}" for number in range(callers)]
        try:
            tokens = await asyncio.gather(*[_log_in(http, api_key, subject) for subject in subjects])
            return await _measure(http, f"{prefix}/refresh", tokens, seconds)
        finally:
            await asyncio.gather(*[_log_out(http, api_key, subject) for subject in subjects])


async def _log_in(http: httpx2.AsyncClient, api_key: str, subject: str) -> str:
    try:
        answer = await http.post("/admin/sessions", json={"subject": subject}, headers=_bearer(api_key))
    except (httpx2.HTTPError, httpx2.InvalidURL) as problem:
        raise ConfigurationError(
            f"The service at {http.base_url} can't be reached: {str(problem).rstrip('.')}."
        ) from None
    try:
        content = answer.json()
        if answer.status_code == 200:
            token: str = content["refresh_token"]
            return token
        reason = content["error_description"]
    except (ValueError, KeyError, TypeError):
        reason = f"status {answer.status_code}. Is that the address of a tenure service?"
    raise ConfigurationError(f"No session could be made: {reason}")


async def _log_out(http: httpx2.AsyncClient, api_key: str, subject: str) -> None:
    try:
        await http.delete("/admin/sessions", params={"subject": subject}, headers=_bearer(api_key))
    except httpx2.HTTPError:
        return  # the session ends by itself


async def _measure(http: httpx2.AsyncClient, path: str, tokens: Sequence[str], seconds: float) -> Measured:
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    begun, busy = time.perf_counter(), time.process_time()

    async def caller(token: str) -> None:
        while time.perf_counter() < begun + seconds:
            sent = time.perf_counter()
            try:
                answer = await http.post(path, json={"refresh_token": token}, headers=_attempt())
                content: Any = answer.json()
                token = content["refresh_token"] if answer.status_code == 200 else token
            except (httpx2.HTTPError, ValueError, KeyError, TypeError) as problem:
                errors[type(problem).__name__] += 1
                await asyncio.sleep(1)
                continue
            if answer.status_code == 200:
                latencies.append(time.perf_counter() - sent)
                continue
            errors[f"{answer.status_code} {content.get('error', '')}".strip()] += 1
            if answer.status_code not in (429, 503):
                return
            await asyncio.sleep(min(float(answer.headers.get("retry-after", 1)), seconds))

    await asyncio.gather(*[caller(token) for token in tokens])
    elapsed = time.perf_counter() - begun
    return Measured(elapsed, tuple(sorted(latencies)), errors, (time.process_time() - busy) / elapsed)


def _bearer(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


def _attempt() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_urlsafe(18)}
