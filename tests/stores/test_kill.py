"""SIGKILL at any moment loses no refresh that was answered: a real process, under load, killed again and again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tenure import Event, Tenure
from tests.conftest import AUDIENCE, ISSUER, SECRET

ROUNDS = 8
CALLERS = 32

# Refreshes in a loop. Each line it prints is an answer that its caller has got.
PROCESS = f"""
import asyncio, sys
from tenure import AsyncTenure

async def caller(auth, number, token):
    while True:
        token = (await auth.refresh(token)).refresh_token
        sys.stdout.write(f"{{number}} {{token}}\\n")
        sys.stdout.flush()

async def main():
    auth = AsyncTenure(sys.argv[1], secret={SECRET!r}, issuer={ISSUER!r}, audience={AUDIENCE!r})
    await asyncio.gather(*[caller(auth, number, token) for number, token in enumerate(sys.argv[2:])])

asyncio.run(main())
"""


def test_no_answered_refresh_is_lost(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    with Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE) as auth:
        tokens = [auth.login(f"user-{number}").refresh_token for number in range(CALLERS)]
    answered, events = 0, list[Event]()
    for round_ in range(ROUNDS):
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, url, *tokens], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert process.stdout is not None
        first = process.stdout.readline()  # the load has begun
        time.sleep(random.Random(round_).uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines(keepends=True)]
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        generations = dict.fromkeys(range(CALLERS), 0)
        for line in lines:
            if line.endswith("\n"):  # a line that was cut is an answer that did not arrive
                number, token = line.split()
                tokens[int(number)] = token
                generations[int(number)] += 1
        answered += sum(generations.values())
        with Tenure(url, secret=SECRET, issuer=ISSUER, audience=AUDIENCE, on_event=events.append) as auth:
            # Each caller's newest answer is good: it is the head's child, or, where the next one's answer did not
            # arrive, the head itself, a retry within the leeway.
            tokens = [auth.refresh(token).refresh_token for token in tokens]
    # A write that was lost would have come out as a rollback.
    assert {event.kind for event in events} == {"refreshed", "retried"}
    assert answered > ROUNDS * CALLERS
