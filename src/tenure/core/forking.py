"""Surviving a fork: gunicorn --preload, Celery's prefork, multiprocessing.

Threads don't exist in a child, locks may be held there for ever, and a connection that two processes use serves
neither. So whoever has any of these says what becomes of it: the parent goes on as if nothing had happened, and the
child makes its own, at its first use. (`subprocess` does not run these: what it starts shares nothing.)
"""

import os
import threading
import weakref
from typing import Protocol


class Forking(Protocol):
    """Something that has threads, locks or connections. A class that needs only some of these inherits the others."""

    def before_fork(self) -> None:
        """In the parent, before a fork: put away what must not be shared."""
        return

    def after_fork_in_parent(self) -> None:
        """In the parent, after a fork: go on."""
        return

    def after_fork_in_child(self) -> None:
        """In the child: forget the parent's threads, locks and connections, without touching what they lead to."""
        return


_lock = threading.Lock()
_known: "weakref.WeakSet[Forking]" = weakref.WeakSet()
_forking: list[Forking] = []


def survive_forks(one: Forking) -> None:
    """From now on, tell `one` of each fork of this process, for as long as it exists."""
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
