"""Run the client's flows against a storage and the network, with blocking calls or with `await`."""

import asyncio
import time
from typing import Any

from tenure.client.core import Action, Flow, Load, LogOut, Refresh, Sleep, Swap, T, TryLock
from tenure.client.endpoints import Endpoints, Post
from tenure.client.keeping import Keeping
from tenure.client.sender import Sender
from tenure.client.storage import Release
from tenure.core.errors import ConfigurationError


class Driver:
    """Runs flows. A lock that a flow takes is released when the flow ends, however it ends."""

    def __init__(self, kept: Keeping, sender: Sender, endpoints: Endpoints) -> None:
        self._kept, self._sender, self._endpoints = kept, sender, endpoints

    def run(self, flow: Flow[T]) -> T:
        """Run a flow and return its result."""
        releases: list[Release] = []
        try:
            action = next(flow)
            while True:
                result: Any = None
                if isinstance(action, Sleep):
                    time.sleep(action.seconds)
                elif isinstance(action, Refresh | LogOut):
                    post = self._post(action)
                    result = None if post is None else self._sender.send(post, thorough=_is_thorough(action))
                else:
                    result = self._perform(action, releases)
                action = flow.send(result)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        finally:
            for release in releases:
                release()

    async def arun(self, flow: Flow[T]) -> T:
        """Like `run`."""
        releases: list[Release] = []
        try:
            action = next(flow)
            while True:
                result: Any = None
                if isinstance(action, Sleep):
                    await asyncio.sleep(action.seconds)
                elif isinstance(action, Refresh | LogOut):
                    post = self._post(action)
                    result = None if post is None else await self._sender.asend(post, thorough=_is_thorough(action))
                else:
                    result = await asyncio.to_thread(self._perform, action, releases)
                action = flow.send(result)
        except StopIteration as finished:
            return finished.value  # type: ignore[no-any-return]
        finally:
            for release in releases:
                release()

    def _post(self, action: Refresh | LogOut) -> Post | None:
        if isinstance(action, Refresh):
            if action.credentials.bound and self._sender.prover is None:
                raise ConfigurationError("The stored session is bound to a key: use Session(…, bind=True).")
            return self._endpoints.refresh_request(action.credentials)
        return self._endpoints.logout_request(action.refresh_token)

    def _perform(self, action: Action, releases: list[Release]) -> Any:
        match action:
            case TryLock():
                release = self._kept.try_lock()
                releases += [] if release is None else [release]
                return release is not None
            case Load():
                return self._kept.load()
            case Swap(expected, record):
                return self._kept.swap(expected, record)
        raise AssertionError(action)


def _is_thorough(action: Refresh | LogOut) -> bool:
    return isinstance(action, Refresh) and action.thorough
