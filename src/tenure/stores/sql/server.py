"""A store on a database server: what PostgreSQL and MySQL have in common.

Each process has one connection and one thread, fed by group commit. If two instances conflict (a deadlock, a
serialization failure), each call of the batch is retried alone. After a lost connection, the next batch reconnects;
until then, callers get StoreUnavailable.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeVar

from tenure.core.calls import Call
from tenure.core.errors import StoreUnavailable
from tenure.core.forking import survive_forks
from tenure.stores.group_commit import GroupCommit
from tenure.stores.listening import Heard
from tenure.stores.outages import unavailable

T = TypeVar("T")

_TRIES_ALONE = 5


class Fault(Enum):
    """What an exception means for the calls of a batch."""

    CONFLICT = "another transaction was in the way: each call is retried alone"
    LOST = "the connection is of no more use; whether the batch was committed is unknown"
    SERVER = "the server would fail for every call: it is read-only, tables are missing, permission is denied"
    CALL = "the call itself is at fault"


class ServerStore(ABC):
    """Sessions in a database on a server. Subclasses know the driver and its exceptions."""

    def __init__(self, name: str) -> None:
        self._connection: Any = None
        self._commits = GroupCommit(self._commit, name=name, release=self._disconnect)
        survive_forks(self)

    @abstractmethod
    def _connect(self) -> Any:
        """A new connection. Raises StoreUnavailable and ConfigurationError."""

    @abstractmethod
    def _transaction(self, connection: Any, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        """Run a batch in one transaction and commit it."""

    @abstractmethod
    def _fault(self, problem: Exception) -> Fault:
        """What an exception of `_transaction` means."""

    @abstractmethod
    def _leave_to_parent(self, connection: Any) -> None:
        """In a child process, drop the parent's connection without telling the server."""

    def run(self, call: Call[T]) -> T:
        """Run one call; blocks the calling thread until it is committed."""
        return self._commits.run(call)

    async def arun(self, call: Call[T]) -> T:
        """Run one call; returns once it is committed."""
        return await self._commits.arun(call)

    def watch(self, heard: Heard) -> None:  # noqa: B027 - most servers can't push
        """Does nothing: other processes' revocations are polled."""

    def close(self) -> None:
        """Finish the waiting calls, then close the connections."""
        self._commits.close()
        self._disconnect()

    def open(self) -> None:
        """Accept calls again after `close`; the first one connects."""
        self._commits.open()

    def before_fork(self) -> None:
        """Wait for the batch in progress. The child does not touch the parent's connections."""
        self._commits.pause()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._commits.resume()

    def after_fork_in_child(self) -> None:
        """Start over; the first batch connects."""
        if self._connection is not None:
            self._leave_to_parent(self._connection)
        self._connection = None
        self._commits.begin_anew()

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(self, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        try:
            return self._transaction(self._connected(), calls)
        except StoreUnavailable as problem:
            return [problem] * len(calls)
        except Exception as problem:  # noqa: BLE001 - whatever one call did, it must not cost the others theirs
            fault = self._fault(problem)
            if fault is Fault.CONFLICT:
                return [self._alone(call) for call in calls]
            if fault is Fault.LOST:
                # Callers retry, which gives the right result whether or not the batch was committed.
                self._disconnect()
                return [unavailable(str(problem))] * len(calls)
            if len(calls) > 1:
                return [answer for call in calls for answer in self._commit([call])]
            return [unavailable(str(problem)) if fault is Fault.SERVER else problem]

    def _alone(self, call: Call[Any]) -> Any:
        for _ in range(_TRIES_ALONE):
            try:
                return self._transaction(self._connected(), [call])[0]
            except StoreUnavailable as problem:
                return problem
            except Exception as problem:  # noqa: BLE001 - as above
                fault = self._fault(problem)
                if fault is Fault.LOST:
                    self._disconnect()
                if fault is not Fault.CONFLICT:
                    return problem if fault is Fault.CALL else unavailable(str(problem))
        return unavailable("too many transactions conflict")
