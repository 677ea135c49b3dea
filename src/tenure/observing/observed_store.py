"""A store that reports its calls to an observer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tenure.core.calls import Call, T
from tenure.core.errors import StoreUnavailable
from tenure.core.observations import Answered, Observer
from tenure.stores.listening import Heard
from tenure.stores.protocol import Store


class ObservedStore:
    """A store that reports its calls to an observer."""

    def __init__(self, store: Store, observe: Observer) -> None:
        self._store = store
        self._observe = observe

    def run(self, call: Call[T]) -> T:
        """Like the store."""
        with self._observed(call):
            return self._store.run(call)

    async def arun(self, call: Call[T]) -> T:
        """Like the store."""
        with self._observed(call):
            return await self._store.arun(call)

    @contextmanager
    def _observed(self, call: Call[T]) -> Iterator[None]:
        begun, available = time.perf_counter(), True
        try:
            yield
        except StoreUnavailable:
            available = False
            raise
        finally:
            self._observe(Answered(type(call).__name__, time.perf_counter() - begun, available))

    def watch(self, heard: Heard) -> None:
        """Like the store."""
        self._store.watch(heard)

    def close(self) -> None:
        """Like the store."""
        self._store.close()

    def open(self) -> None:
        """Like the store."""
        self._store.open()
