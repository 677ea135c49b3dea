"""What the service publishes about itself: metadata, public keys, health."""

import re
from dataclasses import replace
from functools import cache
from importlib import resources

from tenure.core.calls import PutRecord
from tenure.core.dpop import ALGORITHMS
from tenure.core.effects import Flow, call
from tenure.core.errors import StoreUnavailable
from tenure.core.origins import path_of
from tenure.http.messages import Request, Response, json_response
from tenure.http.service import Service

_ENDPOINTS = ("token", "revocation", "introspection")


def metadata(service: Service, request: Request) -> Response:
    """GET /.well-known/oauth-authorization-server (RFC 8414 section 2)"""
    url = service.issuer.url.rstrip("/")
    if not path_of(url):  # otherwise the issuer already includes the path
        url += request.root
    secrets = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    algorithms = list(ALGORITHMS)
    return _public(
        {
            "issuer": service.issuer.url,
            "token_endpoint": f"{url}/oauth/token",
            "token_endpoint_auth_methods_supported": [*secrets, "none"],
            "revocation_endpoint": f"{url}/oauth/revoke",
            "revocation_endpoint_auth_methods_supported": [*secrets, "none"],
            "introspection_endpoint": f"{url}/oauth/introspect",
            "introspection_endpoint_auth_methods_supported": secrets,
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "grant_types_supported": ["refresh_token"],
            "response_types_supported": [],
            **{f"{name}_endpoint_auth_signing_alg_values_supported": algorithms for name in _ENDPOINTS},
            "dpop_signing_alg_values_supported": algorithms,
        }
    )


def jwks(service: Service, _: Request) -> Response:
    """GET /.well-known/jwks.json (RFC 7517 section 5)"""
    return _public(service.issuer.ring.jwks())


def browser_module(_service: Service, _: Request) -> Response:
    """GET /auth/tenure.js: the browser module. It finds the endpoints relative to its own URL."""
    return _script("tenure.js")


def devices_element(_service: Service, _: Request) -> Response:
    """GET /auth/devices.js: the element <tenure-devices>. It finds the endpoints as the browser module does."""
    return _script("devices.js")


@cache
def _script(name: str) -> Response:
    packaged = (resources.files(__package__) / name).read_text()
    served = re.sub("(?i)(base = )'/auth'", r"\1new URL('.', import.meta.url).href", packaged, count=1)
    headers = [("content-type", "text/javascript; charset=utf-8"), ("cache-control", "public, max-age=300")]
    return Response(200, headers, served.encode())


def healthz(_service: Service, _: Request) -> Response:
    """GET /healthz: the process responds"""
    return json_response({"status": "ok"})


def readyz(service: Service, request: Request) -> Flow[Response]:
    """GET /readyz: the store accepts writes as well. With an API key, the response says why not."""
    probe = PutRecord("readiness", "probe", repr(service.issuer.now()), replace=True)
    try:
        if not (yield from call(probe)):
            yield from call(replace(probe, replace=False))
    except StoreUnavailable as problem:
        if problem.detail is None or not service.clients.knows_api_key(request):
            raise
        raise StoreUnavailable(f"The session store does not take a write: {problem.detail}.") from None
    return json_response({"status": "ok"})


def _public(content: object) -> Response:
    return json_response(content, headers=[("access-control-allow-origin", "*")], cache="public, max-age=300")
