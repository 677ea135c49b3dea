"""Survive a fork: gunicorn --preload, Celery's prefork, multiprocessing.

A child process has none of its parent's threads, may inherit locked locks, and must not share a connection. Each object
that owns any of these handles a fork here: the parent goes on as before, and the child makes its own at first use.
(`subprocess` does not run these handlers, as its processes share nothing.)
"""

import os
import threading
import weakref
from typing import Protocol


class Forking(Protocol):
    """An object with threads, locks or connections. Subclasses override what they need."""

    def before_fork(self) -> None:
        """Called in the parent before a fork: release what must not be shared."""
        return

    def after_fork_in_parent(self) -> None:
        """Called in the parent after a fork: resume."""
        return

    def after_fork_in_child(self) -> None:
        """Called in the child: drop the parent's threads, locks and connections without using them."""
        return


_lock = threading.Lock()
_known: "weakref.WeakSet[Forking]" = weakref.WeakSet()
_forking: list[Forking] = []


def survive_forks(one: Forking) -> None:
    """Call the handlers of `one` at each fork of this process, for as long as it exists."""
    with _lock:
        _known.add(one)


def _before() -> None:
    _lock.acquire()
    _forking[:] = _known
    for one in _forking:
        one.before_fork()


def _in_parent() -> None:
    for one in _forking:
        one.after_fork_in_parent()
    _forking.clear()
    _lock.release()


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()
    for one in _forking:
        one.after_fork_in_child()
    _forking.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
