"""GET /openapi.json: the description of the endpoints (OpenAPI 3.1).

Written by hand; a test checks it against the endpoints, with requests that it allows and requests that it forbids.
"""

from tenure.http.messages import Request, Response, json_response
from tenure.http.openapi_schemas import SCHEMAS, Schema
from tenure.http.openapi_services import SERVICES
from tenure.http.openapi_users import USERS
from tenure.http.service import Service, at_prefix


def document(service: Service, _: Request) -> Response:
    """The description of this service."""
    paths = {at_prefix(path, service.prefix): described for path, described in DESCRIPTION["paths"].items()}
    content = {**DESCRIPTION, "paths": paths, "servers": [{"url": service.issuer.url}]}
    return json_response(content, cache="public, max-age=300")


DESCRIPTION: Schema = {
    "openapi": "3.1.0",
    "info": {"title": "tenure", "version": "1", "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
    "components": {
        "schemas": SCHEMAS,
        "securitySchemes": {
            "access_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "api_key": {"type": "http", "scheme": "bearer"},
            "client": {"type": "http", "scheme": "basic"},
        },
    },
    "paths": {**USERS, **SERVICES},
}
