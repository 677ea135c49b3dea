"""What key a request shows: its DPoP proof (RFC 9449), checked against the request, or its device's (DBSC)."""

from tenure.core.binding import dpop_binding
from tenure.http.dbsc import proven_binding
from tenure.http.messages import Request
from tenure.http.service import PROOF, Service


def binding_of(service: Service, request: Request, session_id: str | None = None) -> str | None:
    """The binding whose key the request shows, or None without a proof. Raises InvalidProof, UseNonce and
    DeviceProofDelayed.

    session_id: the session whose refresh token the request presents, if any. For the endpoints that hand out tokens or
    take refresh tokens: there a DPoP proof needs a nonce of the server's.
    """
    device = None if session_id is None else proven_binding(service, request, session_id)
    proof = request.headers.get(PROOF)
    if device is not None or proof is None:
        return device
    urls = [service.address_of(request)]
    return dpop_binding(service.issuer.proofs.check(proof, method=request.method, urls=urls, with_nonce=True))
