"""What tests that fork share."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import coverage
import pytest


@contextmanager
def unmeasured() -> Iterator[None]:
    """coverage has a lock of its own, which a fork in the middle of other threads' work may leave taken for ever."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()


def in_child(work: Callable[[], object], seconds: float = 20.0) -> None:
    """Run `work` in a fork; it must end, and not fail."""
    parent, child = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - told to the parent
            os.write(child, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(child)
    deadline = multiprocessing.get_context("fork").Event()
    for _ in range(round(seconds / 0.02)):
        ended, _ = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        deadline.wait(0.02)
    else:
        os.kill(pid, signal.SIGABRT)  # faulthandler says where
        os.waitpid(pid, 0)
        pytest.fail("the child hangs")
    with os.fdopen(parent, "rb") as said:
        told = said.read().decode()
    assert not told, told
