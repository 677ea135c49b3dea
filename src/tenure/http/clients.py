"""OAuth clients and API keys: their registration. `client_authentication.py` says who a request comes from.

Their secrets are long and random, so a plain hash is enough; unlike passwords, they need no slow one. Each is shown
once, when it is created.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tenure.core.calls import DeleteRecord, GetRecord, ListRecords, PutRecord
from tenure.core.effects import Flow, call
from tenure.core.errors import ConfigurationError
from tenure.core.flows import FIRST_PARTY
from tenure.core.inputs import check_scope
from tenure.core.keys import import_jwk
from tenure.http.messages import Request, bearer

SECRET_BYTES = 32
KNOWN_SECONDS = 1.0
API_KEY_PREFIX = "tnk1_"
_CLIENT, API_KEY = "client", "api_key"
NAME = re.compile(r"[A-Za-z0-9._~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client. A public one has neither a secret nor keys (RFC 6749 section 2.1).

    keys: public keys of its own, as JWKs, one of which signs its assertions (private_key_jwt, RFC 7523). scope: the
    most that a session for it may be granted, or None for anything. lifetime: the name of the policy's lifetime that
    its sessions have, unless their login chooses another.
    """

    id: str
    secret_hash: str | None = field(default=None, repr=False)
    keys: tuple[Mapping[str, str], ...] = ()
    scope: str | None = None
    lifetime: str = ""

    @property
    def public(self) -> bool:
        """Whether the client can't authenticate."""
        return self.secret_hash is None and not self.keys

    def may_have(self, scope: str) -> bool:
        """Whether a session for this client may be granted `scope`."""
        return self.scope is None or set(scope.split()) <= set(self.scope.split())


def add_client(
    client_id: str,
    random: Callable[[int], bytes],
    *,
    public: bool,
    keys: Sequence[Mapping[str, str]] = (),
    scope: str | None = None,
    lifetime: str = "",
) -> Flow[str | None]:
    """Register a client. Returns its secret, or None for one that is public or has keys.

    Raises ConfigurationError for a taken id, for a public client with keys, and for a malformed scope.
    """
    _check_name("A client's id", client_id)
    if public and keys:
        raise ConfigurationError("A public client has no keys: it can't keep a private one secret.")
    if scope is not None:
        check_scope(scope)
    secret = None if public or keys else _text_of(random(SECRET_BYTES))
    made = Client(client_id, None if secret is None else hash_of(secret), tuple(keys), scope, lifetime)
    if client_id == FIRST_PARTY or not (yield from call(PutRecord(_CLIENT, client_id, _body_of(made)))):
        raise ConfigurationError(f"There is a client {client_id} already.")
    return secret


def list_clients() -> Flow[list[Client]]:
    """All registered clients, by their ids."""
    records = yield from call(ListRecords(_CLIENT))
    return [_client_of(name, body) for name, body in records]


def remove_client(client_id: str) -> Flow[bool]:
    """Remove a client: its tokens can't be refreshed any more. Returns whether it existed."""
    return (yield from call(DeleteRecord(_CLIENT, client_id)))


def find_client(client_id: str) -> Flow[Client | None]:
    """The client with this id. The application's own always exists, and is public."""
    if client_id == FIRST_PARTY:
        return Client(FIRST_PARTY)
    body = yield from call(GetRecord(_CLIENT, client_id))
    return None if body is None else _client_of(client_id, body)


def public_jwk(data: bytes) -> Mapping[str, str]:
    """The public key in a file, PEM or JWK, as a JWK. Raises ConfigurationError for anything else."""
    try:
        text = data.decode("ascii")
        if text.lstrip().startswith("{"):
            key = import_jwk(json.loads(text))
        else:
            read = load_pem_public_key(data)
            key = next(kind for base, kind in _PEM_CLASSES.items() if isinstance(read, base)).import_key(text)
        public = {name: str(key.as_dict(private=False)[name]) for name in _PARTS[key.key_type]}
    except (ValueError, TypeError, KeyError, StopIteration, JoseError, UnsupportedAlgorithm, RecursionError):
        raise ConfigurationError("A client's key is a public one, as PEM or JWK: EC (P-256), Ed25519 or RSA.") from None
    if key.is_private:
        raise ConfigurationError("This is a private key, which stays with the client. Give the public one.")
    return public


_PEM_CLASSES: dict[type, Any] = {EllipticCurvePublicKey: ECKey, RSAPublicKey: RSAKey, Ed25519PublicKey: OKPKey}
_PARTS = {"EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x"), "RSA": ("kty", "n", "e")}


def _body_of(client: Client) -> str:
    said = {"secret_hash": client.secret_hash, "keys": list(client.keys), "scope": client.scope}
    return json.dumps({**said, "lifetime": client.lifetime})


def _client_of(name: str, body: str) -> Client:
    said = json.loads(body)
    return Client(name, said["secret_hash"], tuple(said.get("keys", ())), said.get("scope"), said.get("lifetime", ""))


class KnownClients:
    """A cache of clients: the store is asked for each at most once a second, so that a refresh does not wait for two
    calls. A removed client is refused within a second.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[Client, float]] = {}
        self._api_keys: set[str] = set()

    def remember_api_key(self, key_hash: str) -> None:
        """Remember an API key that the store has accepted."""
        self._api_keys.add(key_hash)

    def knows_api_key(self, request: Request) -> bool:
        """Whether the request carries an API key that was accepted before. Used only for what operators may see while
        the store, which decides on keys, is unavailable."""
        key = bearer(request)
        return key is not None and hash_of(key) in self._api_keys

    def find(self, client_id: str, now: float) -> Flow[Client | None]:
        """The client with this id; `now` is in seconds, UTC."""
        known = self._found.get(client_id)
        if known is not None and 0 <= now - known[1] < KNOWN_SECONDS:
            return known[0]
        client = yield from find_client(client_id)
        if client is None:
            self._found.pop(client_id, None)
        else:
            self._found[client_id] = client, now
        return client


def add_api_key(name: str, random: Callable[[int], bytes]) -> Flow[str]:
    """Create an API key for the admin endpoints and return it; it is not stored. Raises ConfigurationError."""
    _check_name("An API key's name", name)
    if name in (yield from list_api_keys()).values():
        raise ConfigurationError(f"There is an API key {name} already.")
    key = API_KEY_PREFIX + _text_of(random(SECRET_BYTES))
    yield from call(PutRecord(API_KEY, hash_of(key), json.dumps({"name": name})))
    return key


def list_api_keys() -> Flow[dict[str, str]]:
    """The names of all API keys, by the keys' hashes."""
    records = yield from call(ListRecords(API_KEY))
    return {key_hash: api_key_name(body) for key_hash, body in records}


def api_key_name(body: str) -> str:
    """The name in an API key's record."""
    name: str = json.loads(body)["name"]
    return name


def remove_api_key(name: str) -> Flow[bool]:
    """Remove an API key. Returns whether it existed."""
    for key_hash, other in (yield from list_api_keys()).items():
        if other == name:
            return (yield from call(DeleteRecord(API_KEY, key_hash)))
    return False


def hash_of(secret: str) -> str:
    """The hash of a secret, as it is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _text_of(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")


def _check_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{what} is 1 to 100 letters, digits and . _ ~ - of ASCII.")
