"""Group commit: writes that wait together commit together.

One thread owns the store's connection. While it commits one batch, new calls gather for the next. There is no timer and
no added delay: a lone call is a batch of one. A batch pays for durability once, and callers get their results only
after the commit.

The thread starts with the first call, and starts again after `close` and `open`, and in a child process.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from tenure.core.calls import Call
from tenure.core.errors import StoreUnavailable

T = TypeVar("T")

MAX_BATCH = 128
CLOSED = "The session store was closed."
_LONGEST_PAUSE_SECONDS = 30.0  # longer than any of a store's timeouts
_SHORT_PAUSE_SECONDS = 1.0

Commit = Callable[[Sequence[Call[Any]]], Sequence[Any]]
"""Run a batch of calls as one transaction and answer each: with its result, or with the exception that it caused."""

_observers: list[Callable[[int], object]] = []


def watch_batches(observe: Callable[[int], object]) -> Callable[[], None]:
    """Call `observe` with the size of each batch in all stores of this process. Returns a function that stops it."""
    _observers.append(observe)
    return lambda: _observers.remove(observe)


Waiter = Future[Any] | asyncio.Future[Any]
Waiting = tuple[Call[Any], Waiter]


class _Pause:
    """Tells the thread to close the connection, if `release` is set, and to wait."""

    def __init__(self, *, release: bool) -> None:
        self.release = release
        self.begun = threading.Event()
        self.over = threading.Event()


class GroupCommit:
    """A thread that runs calls in batches, through `commit`, for blocking and asyncio callers alike.

    release: closes the connection; called in the thread when it pauses and when it ends.
    """

    def __init__(self, commit: Commit, name: str, release: Callable[[], object] | None = None) -> None:
        self._commit = commit
        self._name = name
        self._release = release or (lambda: None)
        self._closed = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """Start over in a child process, which has neither the parent's thread nor its callers."""
        self._waiting: queue.SimpleQueue[list[Waiting] | _Pause | None] = queue.SimpleQueue()
        self._arriving: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pause: _Pause | None = None

    def run(self, call: Call[T]) -> T:
        """Run one call; blocks the calling thread."""
        self._check_open()
        waiter: Future[T] = Future()
        self._waiting.put([(call, waiter)])
        return waiter.result()

    async def arun(self, call: Call[T]) -> T:
        """Run one call. Cancelling the caller does not undo it."""
        self._check_open()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        arriving = self._arriving.get(loop)
        if arriving is None:
            # Calls of one turn of the loop are handed over together at its end. Handed over one by one, each would wake
            # the thread, and batches would stay small.
            self._arriving[loop] = arriving = []
            loop.call_soon(self._hand_over, loop)
        arriving.append((call, waiter))
        return await waiter

    def close(self) -> None:
        """Finish the waiting calls, then end the thread."""
        if not self._closed:
            self._closed = True
            if self._thread is not None:
                self._waiting.put(None)
                self._thread.join()
                self._thread = None

    def open(self) -> None:
        """Accept calls again after `close`."""
        self._closed = False

    def pause(self, *, release: bool = False) -> None:
        """Let the thread finish its batch and wait until `resume`, so that no driver's lock is held during a fork.

        release: close the connection as well, however long that takes; otherwise wait for a second at most.
        """
        if self._thread is not None:
            self._pause = _Pause(release=release)
            self._waiting.put(self._pause)
            self._pause.begun.wait(_LONGEST_PAUSE_SECONDS if release else _SHORT_PAUSE_SECONDS)

    def resume(self) -> None:
        """Let the thread continue."""
        if self._pause is not None:
            self._pause.over.set()
            self._pause = None

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(CLOSED)
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                    self._thread.start()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        arrived = self._arriving.pop(loop)
        if self._closed:
            _deliver([waiter for _, waiter in arrived], [StoreUnavailable(CLOSED)] * len(arrived))
        else:
            self._waiting.put(arrived)

    def _serve(self) -> None:
        for batch in self._batches():
            for observe in _observers:
                observe(len(batch))
            try:
                answers = self._commit([call for call, _ in batch])
            except Exception as problem:  # noqa: BLE001 - nobody may be left waiting, whatever went wrong
                answers = [problem] * len(batch)
            _deliver([waiter for _, waiter in batch], answers)
        self._release()

    def _batches(self) -> Iterator[list[Waiting]]:
        """Wait for calls, take all that have arrived, and split them into batches, until the end."""
        arrived: list[Waiting] | _Pause | None = []
        while arrived is not None:
            gathered: list[Waiting] = []
            arrived = self._waiting.get()
            while isinstance(arrived, list):
                gathered += arrived
                try:
                    arrived = self._waiting.get_nowait()
                except queue.Empty:
                    break
            for start in range(0, len(gathered), MAX_BATCH):
                yield gathered[start : start + MAX_BATCH]
            if isinstance(arrived, _Pause):
                if arrived.release:
                    self._release()
                arrived.begun.set()
                arrived.over.wait()


def _deliver(waiters: Sequence[Waiter], answers: Sequence[Any]) -> None:
    """Wake blocking callers one by one, and asyncio callers all together, by waking their loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for waiter, answer in zip(waiters, answers, strict=True):
        if isinstance(waiter, Future):
            _settle(waiter, answer)
        else:
            by_loop.setdefault(waiter.get_loop(), []).append((waiter, answer))
    for loop, settled in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle_all, settled)


def _settle_all(settled: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for waiter, answer in settled:
        if not waiter.done():
            _settle(waiter, answer)


def _settle(waiter: Waiter, answer: Any) -> None:
    if isinstance(answer, Exception):
        waiter.set_exception(answer)
    else:
        waiter.set_result(answer)
