"""What binding costs: refreshes and requests with a DPoP proof, against those without, in one run."""

import time
from collections.abc import Callable

from benchmarks.report import SETTINGS, report, timed
from tenure import Tenure
from tests.dpop import Key

TIMES, RUNS = 400, 7
URL = "https://api.example.com/auth/refresh"


def main() -> None:
    key = Key()
    with Tenure("memory://", **SETTINGS) as auth:
        tokens = {"unbound": auth.login("ada").refresh_token,
                  "bound": auth.login("ada", thumbprint=key.thumbprint).refresh_token}  # fmt: skip

        def proofs(access_token: str | None = None) -> list[str]:
            nonce = auth.proofs.nonce()
            return [key.proof("POST", URL, time.time(), nonce=nonce, access_token=access_token) for _ in range(TIMES)]

        def unbound() -> None:
            for _ in range(TIMES):
                tokens["unbound"] = auth.refresh(tokens["unbound"]).refresh_token

        def bound(made: list[str]) -> None:
            for proof in made:
                thumbprint = auth.proofs.check(proof, method="POST", urls=[URL], with_nonce=True)
                tokens["bound"] = auth.refresh(tokens["bound"], thumbprint=thumbprint).refresh_token

        def bare() -> None:
            for _ in range(TIMES):
                verify(message, signature)

        header, payload, _ = proofs()[0].split(".")
        message = f"{header}.{payload}".encode()
        signature, (_, verify) = key.sign(message), auth.proofs._keys.get(header) or auth.proofs._key(header)
        check = timed(bare, TIMES, RUNS) * 1e6
        plain, proven = timed(unbound, TIMES, RUNS) * 1e6, _each(lambda: proofs(), bound) * 1e6
        report("a refresh, memory store, microseconds", value=plain)
        report("the same with a DPoP proof, microseconds", value=proven, ratio=proven / plain)
        report("and if the proof were its signature check alone", ratio=(plain + check) / plain)

        token = auth.login("ada", thumbprint=key.thumbprint).access_token
        other = [auth.login("ada").access_token for _ in range(TIMES)]

        def without() -> None:
            auth.issuer.checker._cache.clear()
            for one in other:
                auth.verify(one)

        def with_proofs(made: list[str]) -> None:
            for proof in made:
                auth.verify(token, proof=proof, method="POST", url=URL)

        first = timed(without, TIMES, RUNS) * 1e6
        shown = _each(lambda: proofs(token), with_proofs) * 1e6
        report("an unbound access token checked for the first time, microseconds", value=first)
        report("a bound one checked again, with its proof, microseconds", value=shown, ratio=shown / first)


def _each(prepare: Callable[[], list[str]], run: Callable[[list[str]], None]) -> float:
    """The median seconds of one, where each run needs something that is prepared before."""
    times = []
    for _ in range(RUNS):
        prepared = prepare()
        begun = time.perf_counter()
        run(prepared)
        times.append((time.perf_counter() - begun) / TIMES)
    return sorted(times)[RUNS // 2]
