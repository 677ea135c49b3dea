"""OAuth clients and API keys: registration and authentication.

Their secrets are long and random, so a plain hash is enough; unlike passwords, they need no slow one. Each is shown
once, when it is created.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from tenure.core.calls import DeleteRecord, GetRecord, ListRecords, PutRecord
from tenure.core.effects import Flow, call
from tenure.core.errors import ConfigurationError, InvalidClient, InvalidRequest
from tenure.core.flows import FIRST_PARTY
from tenure.http.messages import Request, bearer

SECRET_BYTES = 32
KNOWN_SECONDS = 1.0
API_KEY_PREFIX = "tnk1_"
_CLIENT, _API_KEY = "client", "api_key"
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client. A public one has no secret (RFC 6749 section 2.1)."""

    id: str
    secret_hash: str | None = field(default=None, repr=False)

    @property
    def public(self) -> bool:
        """Whether the client can't keep a secret."""
        return self.secret_hash is None


def add_client(client_id: str, random: Callable[[int], bytes], *, public: bool) -> Flow[str | None]:
    """Register a client. Returns its secret, or None for a public one. Raises ConfigurationError for a taken id."""
    _check_name("A client's id", client_id)
    secret = None if public else _text_of(random(SECRET_BYTES))
    body = json.dumps({"secret_hash": None if secret is None else _hash(secret)})
    if client_id == FIRST_PARTY or not (yield from call(PutRecord(_CLIENT, client_id, body))):
        raise ConfigurationError(f"There is a client {client_id} already.")
    return secret


def list_clients() -> Flow[list[Client]]:
    """All registered clients, by their ids."""
    records = yield from call(ListRecords(_CLIENT))
    return [Client(name, json.loads(body)["secret_hash"]) for name, body in records]


def remove_client(client_id: str) -> Flow[bool]:
    """Remove a client: its tokens can't be refreshed any more. Returns whether it existed."""
    return (yield from call(DeleteRecord(_CLIENT, client_id)))


def find_client(client_id: str) -> Flow[Client | None]:
    """The client with this id. The application's own always exists, and is public."""
    if client_id == FIRST_PARTY:
        return Client(FIRST_PARTY)
    body = yield from call(GetRecord(_CLIENT, client_id))
    return None if body is None else Client(client_id, json.loads(body)["secret_hash"])


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
        return key is not None and _hash(key) in self._api_keys

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


def authenticate_client(
    known: KnownClients, request: Request, parameters: Mapping[str, str], now: float
) -> Flow[Client]:
    """Authenticate the client, by client_secret_basic, client_secret_post or none (RFC 6749 section 2.3).

    Raises InvalidClient, and InvalidRequest if a request uses two methods at once.
    """
    basic = _basic_credentials(request)
    if basic is not None and "client_secret" in parameters:
        raise InvalidRequest("The client authenticates twice: by the header and in the body.")
    client_id, secret = basic or (parameters.get("client_id", ""), parameters.get("client_secret"))
    if parameters.get("client_id", client_id) != client_id:
        raise InvalidRequest("The client names itself twice, and differently.")
    client = None
    if _NAME.fullmatch(client_id):
        client = yield from known.find(client_id, now)
    if client is None or not _proves(client, secret):
        raise InvalidClient
    return client


def _proves(client: Client, secret: str | None) -> bool:
    if client.secret_hash is None:
        return not secret
    return secret is not None and hmac.compare_digest(_hash(secret), client.secret_hash)


def _basic_credentials(request: Request) -> tuple[str, str] | None:
    """Id and secret from the Authorization header, form-encoded before they were joined (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidClient("The Authorization header is not well-formed.") from None
    if not colon:
        raise InvalidClient("The Authorization header is not well-formed.")
    return unquote_plus(client_id), unquote_plus(secret)


def add_api_key(name: str, random: Callable[[int], bytes]) -> Flow[str]:
    """Create an API key for the admin endpoints and return it; it is not stored. Raises ConfigurationError."""
    _check_name("An API key's name", name)
    if name in (yield from list_api_keys()).values():
        raise ConfigurationError(f"There is an API key {name} already.")
    key = API_KEY_PREFIX + _text_of(random(SECRET_BYTES))
    yield from call(PutRecord(_API_KEY, _hash(key), json.dumps({"name": name})))
    return key


def list_api_keys() -> Flow[dict[str, str]]:
    """The names of all API keys, by the keys' hashes."""
    records = yield from call(ListRecords(_API_KEY))
    return {key_hash: json.loads(body)["name"] for key_hash, body in records}


def remove_api_key(name: str) -> Flow[bool]:
    """Remove an API key. Returns whether it existed."""
    for key_hash, other in (yield from list_api_keys()).items():
        if other == name:
            return (yield from call(DeleteRecord(_API_KEY, key_hash)))
    return False


def authenticate_api_key(known: KnownClients, request: Request) -> Flow[str]:
    """Authenticate an API key and return its name. Raises InvalidClient.

    The lookup is by the key's hash, so its time reveals nothing about a wrong key.
    """
    key = bearer(request)
    body = None
    if key is not None and key.startswith(API_KEY_PREFIX):
        body = yield from call(GetRecord(_API_KEY, _hash(key)))
    if body is None:
        raise InvalidClient("An API key is needed: Authorization: Bearer … (made with: tenure api-keys add NAME).")
    known.remember_api_key(_hash(key or ""))
    name: str = json.loads(body)["name"]
    return name


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _text_of(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")


def _check_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{what} is 1 to 100 letters, digits and . _ ~ - of ASCII.")
