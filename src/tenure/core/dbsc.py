"""Device Bound Session Credentials (W3C draft, 2026): proofs of a key that a browser keeps in its device, and the flow
that binds a session to it.

The browser names its public key once, when it registers; later proofs only sign a challenge. So the key itself is kept
in the session's binding.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tenure.core.binding import REGISTRATION_SECONDS, device_binding, device_key
from tenure.core.calls import Advance, Get
from tenure.core.effects import Flow, call
from tenure.core.errors import InvalidDeviceProof, InvalidProof, SessionEnded, StoreUnavailable
from tenure.core.existing import RACES_BEFORE_GIVING_UP, TOO_MANY_RACES, event_of
from tenure.core.issuer import Issuer
from tenure.core.proof_jwt import PublicKey, check_header, json_object, parts_of, public_key
from tenure.core.session import Session

ALGORITHMS = ("ES256", "RS256")
TYPE = "dbsc+jwt"


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """A proof whose form is right (section 9.10). challenge: what it signs. Its signature is still to be checked."""

    algorithm: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signing_input: bytes
    signature: bytes

    @property
    def challenge(self) -> str:
        """The challenge that the proof answers."""
        challenge: str = self.claims["jti"]
        return challenge

    def named_key(self) -> PublicKey:
        """The public key in a registration's proof, which has signed it. Raises InvalidDeviceProof.

        It stands in the header, or, as earlier drafts had it, among the claims as `key`.
        """
        with _naming_the_device():
            key = public_key(self.header.get("jwk") or self.claims.get("key"), self.algorithm)
        self.check_signature(key)
        return key

    def check_signature(self, key: PublicKey) -> None:
        """Raise InvalidDeviceProof unless `key` made the signature."""
        if not key.verify(self.signing_input, self.signature):
            raise InvalidDeviceProof("The proof's signature is wrong.", "signature")


def read_proof(proof: str, url: str, session_id: str | None = None) -> DeviceProof:
    """Parse a proof. Raises InvalidDeviceProof for a wrong form, or if it is for another address or session.

    url: the endpoint's, as the browser knows it. session_id: the session that the browser says it refreshes. A browser
    need name neither in its proof (`aud`, `sub`).
    """
    with _naming_the_device():
        header, payload, signature, signing_input = parts_of(proof, "DBSC")
        named = json_object(header, "header of the DBSC proof")
        algorithm = check_header(named, TYPE, ALGORITHMS)
        claims = json_object(payload, "payload of the DBSC proof")
    if not isinstance(claims.get("jti"), str):
        raise InvalidDeviceProof("The proof's jti is the challenge that it answers.", "jti")
    if claims.get("aud", url) != url:
        raise InvalidDeviceProof(f"The proof is not for this address (aud): {url}.", "aud")
    if claims.get("sub", session_id) != session_id:
        raise InvalidDeviceProof("The proof is for another session (sub).", "sub")
    return DeviceProof(algorithm, named, claims, signing_input, signature)


def bind_to_device(issuer: Issuer, session_id: str, key: PublicKey) -> Flow[Session]:
    """Bind a session to a browser's key, once, within a minute of its login. Returns the session.

    Nothing else of it changes. Raises SessionEnded, and InvalidDeviceProof if it is too late or another key is there.
    """
    binding = device_binding(key.jwk)
    now = issuer.now()
    for _ in range(RACES_BEFORE_GIVING_UP):
        session = yield from _live(issuer, session_id, now)
        if session.binding == binding:
            return session  # the response to the first try was lost
        if session.binding is not None:
            raise InvalidDeviceProof("The session is bound to another key already.", "bound")
        if now > session.created_at + REGISTRATION_SECONDS:
            raise InvalidDeviceProof("A session is bound to a device within a minute of its login.", "late")
        head = session.head
        bound = yield from call(
            Advance(
                session.id, session.client_id, head.generation, head.nonce_hash, head, session.expires_at, None, binding
            )
        )
        if bound is not None:
            yield event_of("bound", now, bound)
            return bound
    raise StoreUnavailable(TOO_MANY_RACES)


def check_device(issuer: Issuer, session_id: str, proof: DeviceProof) -> Flow[Session]:
    """The session whose device has made this proof. Raises SessionEnded, and InvalidDeviceProof."""
    session = yield from _live(issuer, session_id, issuer.now())
    jwk = device_key(session.binding)
    if jwk is None:
        raise InvalidDeviceProof("The session is not bound to a device.", "unbound")
    with _naming_the_device():
        key = public_key(dict(jwk), proof.algorithm)
    proof.check_signature(key)
    return session


def _live(issuer: Issuer, session_id: str, now: float) -> Flow[Session]:
    session = yield from call(Get(session_id))
    if session is None or not session.is_live(now) or issuer.is_cut_off(session):
        raise SessionEnded("revoked")
    return session


@contextmanager
def _naming_the_device() -> Iterator[None]:
    try:
        yield
    except InvalidProof as problem:
        raise InvalidDeviceProof(str(problem), problem.reason) from None
