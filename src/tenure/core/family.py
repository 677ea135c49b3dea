"""The family: one pure function that tells a rotation from a retry from a theft.

Every rule about theft lives here, and nothing else does: no clock, no store, no key. A session's whole chain is
represented by its *head*, the newest link that was ever presented. A presented token is judged against the head by
its generation first, then by the one nonce it must show. "Shows" means that the token carries a nonce which hashes
to what the head stores; nobody who was not handed the token's line can.

    generation   | and                                                     | verdict
    -------------+---------------------------------------------------------+---------
    head + 1     | its parent nonce is the head's                          | ROTATE
    head + 1     | otherwise: a fork                                       | REUSE
    head         | its nonce is the head's, and attempt key or leeway hold | RETRY
    head         | otherwise                                               | REUSE
    older        |                                                         | REUSE
    head + 2     | its grandparent nonce is the head's                     | ROLLBACK
    newer        | otherwise                                               | REFUSE

ROTATE, RETRY and ROLLBACK return a fresh random child, so two responses are never equal. That makes the leeway safe:
the first holder to use their sibling turns the other's into a fork.
"""

import enum
import hmac
from dataclasses import dataclass

from tenure.core.tokens import RefreshToken, nonce_hash


class Verdict(enum.Enum):
    """What a presented refresh token is."""

    ROTATE = "rotate"
    RETRY = "retry"
    ROLLBACK = "rollback"
    REUSE = "reuse"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of a family that was ever presented, which is all that the store keeps of the chain.

    `attempt_hash` is the hash of the attempt key it was presented with, or None. `rotated_at` is in seconds, UTC.
    """

    generation: int
    nonce_hash: bytes
    attempt_hash: bytes | None
    rotated_at: float

    def __repr__(self) -> str:
        return f"Head(generation {self.generation}, rotated at {self.rotated_at})"


def judge(
    head: Head,
    token: RefreshToken,
    attempt_hash: bytes | None,
    now: float,
    leeway: float,
    *,
    believe_tag: bool = False,
) -> Verdict:
    """Judge `token`, presented to a family with this `head`.

    `now` is in seconds, UTC; for `leeway` seconds after a rotation a retry without the attempt key is believed.
    `believe_tag` adopts a token that is newer than the store although its descent can't be shown: a policy for the days
    after restoring a backup, during which the server's key alone can mint tokens.
    """
    ahead = token.generation - head.generation
    if ahead == 1:
        return Verdict.ROTATE if _shows(head, token, token.parent) else Verdict.REUSE
    if ahead == 0:
        believed = _same_attempt(head, attempt_hash) or now - head.rotated_at <= leeway
        return Verdict.RETRY if believed and _shows(head, token, token.nonce) else Verdict.REUSE
    if ahead < 0:
        return Verdict.REUSE
    descends = ahead == 2 and _shows(head, token, token.grandparent)
    return Verdict.ROLLBACK if descends or believe_tag else Verdict.REFUSE


def _shows(head: Head, token: RefreshToken, nonce: bytes) -> bool:
    return hmac.compare_digest(head.nonce_hash, nonce_hash(token.session_id, nonce))


def _same_attempt(head: Head, attempt_hash: bytes | None) -> bool:
    if head.attempt_hash is None or attempt_hash is None:
        return False
    return hmac.compare_digest(head.attempt_hash, attempt_hash)
