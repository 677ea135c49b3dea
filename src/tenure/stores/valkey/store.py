"""Valkey or Redis: one server, replicas or a Cluster, with the compare-and-set in Lua.

Each primary has its own thread, fed by group commit, which sends a batch in one pipeline. So a slow or lost primary
affects only the sessions that it keeps. A command that a server did not carry out (it does not have the script, or the
slot has moved) is sent again at once, to the right node. A command that may have been carried out is not: its caller
gets StoreUnavailable and retries.

The server's settings decide how durable a write is. With `appendfsync always` every acknowledged write survives a
crash; with `everysec`, and at a failover to a replica, the last second may be lost. With `?wait_replicas=1`, a call
waits until a replica has the write, too. See docs/operations.md.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from tenure.core.calls import Call
from tenure.core.errors import ConfigurationError, StoreUnavailable
from tenure.core.forking import survive_forks
from tenure.stores.group_commit import CLOSED, GroupCommit
from tenure.stores.listening import Heard, Listener
from tenure.stores.outages import unavailable
from tenure.stores.valkey.calls import (
    CHANNEL,
    Command,
    Request,
    heard_in,
    key_of,
    request_of,
)
from tenure.stores.valkey.nodes import WAIT_SECONDS, Nodes, Words, nodes_of, pipelined
from tenure.stores.valkey.scripts import SCRIPTS, source
from tenure.stores.valkey.walks import WALKS

T = TypeVar("T")

_ALL = "all"
_LISTEN_SECONDS = 0.5
_PAUSES = (0.0, 0.02, 0.05, 0.1)
_NOT_CARRIED_OUT = (NoScriptError, AskError, TryAgainError)

_log = logging.getLogger("tenure")


class ValkeyStore:
    """Sessions in Valkey. Raises ConfigurationError and StoreUnavailable on opening."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._begin_anew()
        try:
            self._look_at_settings()
        except BaseException:
            self._nodes.close()
            raise
        survive_forks(self)

    def _begin_anew(self) -> None:
        self._connecting = threading.Lock()
        self._connected: tuple[Nodes, int] | None = None
        self._lanes: dict[str, GroupCommit] = {}
        self._opening = threading.Lock()
        self._prepared: set[Redis] = set()
        self._closed = threading.Event()
        self._listener: Listener | None = None
        self._paused: list[GroupCommit] = []

    @property
    def _nodes(self) -> Nodes:
        return self._connection()[0]

    @property
    def _wait_replicas(self) -> int:
        return self._connection()[1]

    def _connection(self) -> tuple[Nodes, int]:
        with self._connecting:
            if self._connected is None:
                self._connected = nodes_of(self._url)
            return self._connected

    def run(self, call: Call[T]) -> T:
        """Answer one call; blocks the calling thread."""
        return self._lane(call).run(call)

    async def arun(self, call: Call[T]) -> T:
        """Run one call."""
        return await self._lane(call).arun(call)

    def watch(self, heard: Heard) -> None:
        """Call `heard`, from a thread of the store, with each revocation as it happens."""

        def listen(closed: threading.Event) -> None:
            with self._nodes.any().pubsub(ignore_subscribe_messages=True) as news:
                news.subscribe(CHANNEL)
                while not closed.is_set():
                    message = news.get_message(timeout=_LISTEN_SECONDS)
                    if message is not None:
                        heard(*heard_in(message["data"]))

        if self._listener is None:
            self._listener = Listener(listen, (RedisError, StoreUnavailable, OSError), name="tenure-valkey-news")

    def close(self) -> None:
        """Finish the waiting calls, then close all connections."""
        self._closed.set()
        with self._opening:
            for lane in self._lanes.values():
                lane.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._connected is not None:
            self._connected[0].close()

    def open(self) -> None:
        """Answer calls again after `close`; the first one connects."""
        if self._closed.is_set():
            self._begin_anew()

    def before_fork(self) -> None:
        """Let no batch be under way. The child does not touch the parent's connections."""
        self._paused = list(self._lanes.values())
        for lane in self._paused:
            lane.pause()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for lane in self._paused:
            lane.resume()

    def after_fork_in_child(self) -> None:
        """Start over; the first call connects. (redis-py closes inherited connections without telling the server.)"""
        self._begin_anew()

    def _look_at_settings(self) -> None:
        client = self._nodes.any()
        try:
            memory = client.info("memory")
        except (AuthenticationError, AuthorizationError):
            raise ConfigurationError("The Valkey server does not accept this user and password.") from None
        except ResponseError:
            return  # CONFIG may be forbidden; the warning below is a courtesy
        except RedisError as problem:
            raise unavailable(f"{_address_of(client)}: {problem}") from None
        if memory.get("maxmemory") and memory.get("maxmemory_policy") != "noeviction":
            _log.warning(
                "the Valkey server evicts data when its memory is full (maxmemory-policy %s), which logs users out. "
                "Set maxmemory-policy to noeviction.",
                memory["maxmemory_policy"],
            )

    def _lane(self, call: Call[Any]) -> GroupCommit:
        key = key_of(call)
        name = _ALL if key is None else self._nodes.name_of(key)
        lane = self._lanes.get(name)
        if lane is None:
            with self._opening:
                if self._closed.is_set():
                    raise StoreUnavailable(CLOSED)
                lane = self._lanes.get(name) or GroupCommit(self._commit, name=f"tenure-valkey-{name}")
                self._lanes[name] = lane
        return lane

    def _commit(self, calls: Sequence[Call[Any]]) -> Sequence[Any]:
        if any(type(call) in WALKS for call in calls):
            return [self._walked(call) for call in calls]
        requests = [_request(call) for call in calls]
        replies = iter(self._replies([command for request in requests for command in request.commands]))
        return [_answer(request, [next(replies) for _ in request.commands]) for request in requests]

    def _replies(self, commands: Sequence[Command]) -> Sequence[Any]:
        """The reply to each command, or StoreUnavailable."""
        replies: list[Any] = [None] * len(commands)
        at: dict[Redis, list[int]] = defaultdict(list)
        for number, command in enumerate(commands):
            try:
                at[self._nodes.client_for(command.key)].append(number)
            except StoreUnavailable as problem:
                replies[number] = problem
        for client, numbers in at.items():
            found = self._exchange(client, [commands[number] for number in numbers])
            for number, reply in zip(numbers, found, strict=True):
                refused = isinstance(reply, RedisError)
                replies[number] = self._resend(commands[number], reply) if refused else reply
        return replies

    def _exchange(
        self, client: Redis, commands: Sequence[Command], *, asking: bool = False, whole: bool = False
    ) -> list[Any]:
        """Send commands to one server as one pipeline, and read its replies."""
        waits = self._wait_replicas > 0 and any(command.writes for command in commands)
        words: list[Words] = [("ASKING",)] if asking else []
        if client not in self._prepared:
            words = [("SCRIPT", "LOAD", source(name)) for name in SCRIPTS] + words
        before = len(words)
        words += [command.words(whole=whole) for command in commands]
        if waits:
            words.append(("WAIT", self._wait_replicas, round(WAIT_SECONDS * 500)))
        try:
            replies = pipelined(client, words)[before:]
        except RedisError as problem:
            self._lost(client)
            return [unavailable(f"{_address_of(client)}: {problem}")] * len(commands)
        self._prepared.add(client)
        if waits and not _acknowledged(replies.pop(), self._wait_replicas):
            return [
                StoreUnavailable() if command.writes and not isinstance(reply, _NOT_CARRIED_OUT) else reply
                for command, reply in zip(commands, replies, strict=True)
            ]
        if any(isinstance(reply, ReadOnlyError | ClusterDownError) for reply in replies):
            self._lost(client)
        return replies

    def _walked(self, call: Call[Any]) -> Any:
        """The result of one call that walks through all keys."""
        try:
            walk = WALKS.get(type(call))
            return self._commit([call])[0] if walk is None else walk(self._nodes, self._replies, call)
        except StoreUnavailable as problem:
            return problem
        except (RedisError, KeyError, ValueError, TypeError) as problem:
            return unavailable(f"a walk through all sessions ended: {type(problem).__name__}")

    def _lost(self, client: Redis) -> None:
        """The next server may be another one, which does not have the scripts."""
        self._prepared.discard(client)
        self._nodes.lost(client)

    def _resend(self, command: Command, reply: Any) -> Any:
        """Send again what was not carried out, to where the server points. Returns the reply to that."""
        for pause in _PAUSES:
            if not isinstance(reply, _NOT_CARRIED_OUT):
                break
            try:
                client = self._nodes.redirected(reply) if isinstance(reply, AskError) else None
                client = client or self._nodes.client_for(command.key)
            except StoreUnavailable as problem:
                return problem
            if isinstance(reply, TryAgainError):
                time.sleep(pause)
            (reply,) = self._exchange(client, [command], asking=type(reply) is AskError, whole=True)
        if isinstance(reply, ResponseError):
            return unavailable(f"the Valkey server refused: {type(reply).__name__}")  # its message may quote a value
        return reply


def _address_of(client: Redis) -> str:
    known = client.connection_pool.connection_kwargs
    return f"{known.get('host', 'the Valkey server')}:{known.get('port', '')}"


def _acknowledged(reply: Any, replicas: int) -> bool:
    return isinstance(reply, int) and reply >= replicas


def _request(call: Call[Any]) -> Request:
    try:
        return request_of(call)
    except Exception as problem:  # noqa: BLE001 - whatever one call did, it must not cost the others theirs
        refused = problem
        return Request([], lambda _: refused)


def _answer(request: Request, replies: Sequence[Any]) -> Any:
    unanswered = next((reply for reply in replies if isinstance(reply, Exception)), None)
    return request.answer(replies) if unanswered is None else unanswered
