"""Checking tokens: verify against the bare signature check of the cryptography library, and refusing a forged token."""

import contextlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.report import SETTINGS, report, timed
from tenure import ForgedToken, Tenure

TOKENS = 2000


def main() -> None:
    with Tenure("memory://", **SETTINGS) as auth:
        tokens = [auth.login(f"user-{number}").access_token for number in range(TOKENS)]
        forged = auth.login("x").refresh_token[:-8] + "AAAAAAAA"

        def first() -> None:
            auth.issuer.checker._cache.clear()
            for token in tokens:
                auth.verify(token)

        def cached() -> None:
            for token in tokens:
                auth.verify(token)

        key = ec.generate_private_key(ec.SECP256R1())
        message, algorithm = tokens[0].rpartition(".")[0].encode(), ec.ECDSA(hashes.SHA256())
        signature, public = key.sign(message, algorithm), key.public_key()

        def bare() -> None:
            for _ in range(TOKENS):
                public.verify(signature, message, algorithm)

        def refuse() -> None:
            for _ in range(TOKENS):
                with contextlib.suppress(ForgedToken):
                    auth.refresh(forged)

        signature_check, whole_check = timed(bare, TOKENS) * 1e6, timed(first, TOKENS) * 1e6
        report("bare ES256 signature check", us=signature_check)
        report("verify, the first time", us=whole_check, ratio=whole_check / signature_check, goal=1.15)
        report("verify, cached", us=timed(cached, TOKENS) * 1e6, goal=3)
        report("a forged refresh token refused", us=timed(refuse, TOKENS) * 1e6, goal=10)
