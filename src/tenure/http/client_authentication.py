"""Who a request comes from: an OAuth client, by its secret or an assertion that its key has signed, or an API key."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from joserfc import jws, jwt
from joserfc.errors import JoseError

from tenure.core.calls import GetRecord
from tenure.core.dpop import ALGORITHMS
from tenure.core.effects import Flow, call
from tenure.core.errors import InvalidClient, InvalidProof, InvalidRequest
from tenure.core.keys import import_jwk
from tenure.http.clients import API_KEY, API_KEY_PREFIX, NAME, Client, api_key_name, hash_of
from tenure.http.messages import Request, bearer
from tenure.http.service import Service

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 300
"""How far in the future an assertion may expire. For as long, each is accepted once."""

_MAX_ASSERTION_CHARS = 4096
_SKEW_SECONDS = 10


def authenticate_client(service: Service, request: Request, parameters: Mapping[str, str]) -> Flow[Client]:
    """Authenticate the client, by client_secret_basic, client_secret_post, private_key_jwt or none (RFC 6749 section
    2.3, RFC 7523 section 2.2).

    Raises InvalidClient, and InvalidRequest if a request uses two methods at once.
    """
    basic = _basic_credentials(request)
    assertion = _assertion(parameters)
    if sum((basic is not None, "client_secret" in parameters, assertion is not None)) > 1:
        raise InvalidRequest("The client authenticates in two ways. Use one.")
    if assertion is not None:
        client_id, secret = _subject_of(assertion), None
    else:
        client_id, secret = basic or (parameters.get("client_id", ""), parameters.get("client_secret"))
    if parameters.get("client_id", client_id) != client_id:
        raise InvalidRequest("The client names itself twice, and differently.")
    client = None
    if NAME.fullmatch(client_id):
        client = yield from service.clients.find(client_id, service.issuer.now())
    if client is None:
        raise InvalidClient
    if client.keys:
        _check_assertion(service, client, assertion, request)
    elif assertion is not None or not _proves(client, secret):
        raise InvalidClient
    return client


def authenticate_api_key(service: Service, request: Request) -> Flow[str]:
    """Authenticate an API key and return its name. Raises InvalidClient.

    The lookup is by the key's hash, so its time reveals nothing about a wrong key.
    """
    key = bearer(request)
    body = None
    if key is not None and key.startswith(API_KEY_PREFIX):
        body = yield from call(GetRecord(API_KEY, hash_of(key)))
    if body is None:
        raise InvalidClient("An API key is needed: Authorization: Bearer … (made with: tenure api-keys add NAME).")
    service.clients.remember_api_key(hash_of(key or ""))
    return api_key_name(body)


def _proves(client: Client, secret: str | None) -> bool:
    if client.secret_hash is None:
        return not secret
    return secret is not None and hmac.compare_digest(hash_of(secret), client.secret_hash)


def _assertion(parameters: Mapping[str, str]) -> str | None:
    assertion, kind = parameters.get("client_assertion"), parameters.get("client_assertion_type")
    if assertion is None and kind is None:
        return None
    if assertion is None or kind != ASSERTION_TYPE:
        raise InvalidRequest(f"client_assertion is a JWT, and client_assertion_type is {ASSERTION_TYPE}.")
    if len(assertion) > _MAX_ASSERTION_CHARS:
        raise InvalidClient(f"A client assertion has at most {_MAX_ASSERTION_CHARS} characters.")
    return assertion


def _subject_of(assertion: str) -> str:
    """The client that an assertion names, before its signature is checked."""
    try:
        claims = json.loads(jws.extract_compact(assertion.encode("utf-8", "surrogatepass")).payload)
        subject = claims["sub"]
    except (JoseError, ValueError, KeyError, TypeError, RecursionError):
        subject = None
    if not isinstance(subject, str):
        raise InvalidClient("The client assertion is not a JWT that names the client (sub).")
    return subject


def _check_assertion(service: Service, client: Client, assertion: str | None, request: Request) -> None:
    """RFC 7523 section 3: signed by one of the client's keys, for this server, for a short time, and once."""
    if assertion is None:
        raise InvalidClient("This client authenticates by an assertion (private_key_jwt).")
    now, issuer = service.issuer.now(), service.issuer
    meant = [issuer.url, f"{issuer.url.rstrip('/')}/oauth/token", service.address_of(request)]
    rules = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=_SKEW_SECONDS,
        iss={"essential": True, "value": client.id},
        sub={"essential": True, "value": client.id},
        aud={"essential": True, "values": meant},
        exp={"essential": True},
        jti={"essential": True},
    )
    claims = next((found for jwk in client.keys if (found := _signed_by(jwk, assertion)) is not None), None)
    if claims is None:
        raise InvalidClient("The client assertion is not signed by a key of this client.")
    try:
        rules.validate(dict(claims))
    except (JoseError, TypeError, ValueError) as problem:
        raise InvalidClient(f"The client assertion is not accepted: {problem}.") from None
    if not isinstance(claims["jti"], str) or claims["exp"] > now + ASSERTION_SECONDS + _SKEW_SECONDS:
        raise InvalidClient(f"A client assertion expires within {ASSERTION_SECONDS} seconds, and its jti is text.")
    try:
        issuer.proofs.once(f"client {client.id}", claims["jti"], ASSERTION_SECONDS + 2 * _SKEW_SECONDS)
    except InvalidProof:
        raise InvalidClient("The client assertion was used before (jti). Make a new one for each request.") from None


def _signed_by(jwk: Mapping[str, str], assertion: str) -> Mapping[str, Any] | None:
    """The claims of an assertion, if this key has signed it."""
    try:
        key = import_jwk(jwk)
        return jwt.decode(assertion, key, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


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
