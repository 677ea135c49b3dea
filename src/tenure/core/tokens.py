"""The refresh token: its contents, its seal, its text form.

A refresh token is one link in a family. It names its session, its place in the chain and three nonces: its own, its
parent's and its grandparent's. From these the server tells a rotation from a theft while it stores only the newest link
that was ever presented. A tag over everything lets it refuse a forged, truncated or mistyped token by arithmetic alone,
without asking the store.

    tnr1_  sid 16 | generation 4 | grandparent 16 | parent 16 | nonce 16 | tag 16     (84 bytes, base64url)

84 is a multiple of three, so there is no padding, and every token has exactly one spelling. This module has no clock,
no store and no randomness: nonces are arguments.
"""

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tenure.core.errors import ForgedToken

PREFIX = "tnr1_"
NONCE_BYTES = 16
SESSION_ID_BYTES = 16
BUCKET_BYTES = 2
LAST_GENERATION = 2**32 - 1

_TAG_BYTES = 16
_LAYOUT = struct.Struct(">16sI16s16s16s")
_SPELLING = re.compile(r"tnr1_[A-Za-z0-9_-]{112}")
_NO_NONCE = bytes(NONCE_BYTES)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One link of a family, as its holder has it.

    `session_id` is 16 bytes; `generation` counts from 1; the nonces are 16 bytes each. The representation leaves them
    out, as they are secrets.
    """

    session_id: bytes
    generation: int
    grandparent: bytes
    parent: bytes
    nonce: bytes

    def __repr__(self) -> str:
        return f"RefreshToken(session {self.session_id.hex()}, generation {self.generation})"

    def child(self, nonce: bytes) -> "RefreshToken":
        """The link that follows this one, with a fresh `nonce` of 16 random bytes."""
        return RefreshToken(self.session_id, self.generation + 1, self.parent, self.nonce, nonce)


def session_id_for(subject: str, random: Callable[[int], bytes]) -> bytes:
    """A new session id: the subject's bucket, then 14 random bytes."""
    return bucket_of(subject) + random(SESSION_ID_BYTES - BUCKET_BYTES)


def bucket_of(subject: str) -> bytes:
    """The first two bytes of every session id of `subject`, by which a sharded store keeps them together.

    It is not keyed: a key would separate a subject's sessions each time the secret changes, and would hide nothing, as
    a session id shows the bucket.
    """
    return hashlib.sha256(b"tenure subject bucket\0" + subject.encode()).digest()[:BUCKET_BYTES]


def first_token(session_id: bytes, root: bytes, nonce: bytes) -> RefreshToken:
    """The first link of a new family: the child of its root nonce."""
    return RefreshToken(session_id, 1, _NO_NONCE, root, nonce)


def nonce_hash(session_id: bytes, nonce: bytes) -> bytes:
    """The hash of a nonce that the store keeps: 32 bytes.

    It includes the session, so that a copy of all hashes can't be searched in one go.
    """
    return hashlib.sha256(session_id + nonce).digest()


def seal(token: RefreshToken, key: bytes) -> str:
    """The token as text, under `key` (32 bytes, derived from the root secret)."""
    body = _LAYOUT.pack(token.session_id, token.generation, token.grandparent, token.parent, token.nonce)
    return PREFIX + base64.urlsafe_b64encode(body + _tag(body, key)).decode("ascii")


def unseal(text: str, keys: Sequence[bytes]) -> RefreshToken:
    """Parse a token that one of `keys` sealed.

    Raises ForgedToken for anything else, at the cost of one hash for each key.
    """
    if _SPELLING.fullmatch(text) is None:
        raise ForgedToken
    sealed = base64.urlsafe_b64decode(text[len(PREFIX) :])
    body, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
    for key in keys:
        if hmac.compare_digest(tag, _tag(body, key)):
            return RefreshToken(*_LAYOUT.unpack(body))
    raise ForgedToken


def _tag(body: bytes, key: bytes) -> bytes:
    mac = _keyed(key).copy()
    mac.update(body)
    return mac.digest()[:_TAG_BYTES]


@lru_cache(maxsize=16)
def _keyed(key: bytes) -> hmac.HMAC:
    """An HMAC that has read its key. Copying it takes half the time of `hmac.digest`, and does not release the GIL."""
    return hmac.new(key, digestmod="sha256")
