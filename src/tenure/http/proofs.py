"""What key a request shows: its DPoP proof (RFC 9449), checked against the request."""

from tenure.core.binding import dpop_binding
from tenure.http.messages import Request
from tenure.http.service import PROOF, Service


def binding_of(service: Service, request: Request) -> str | None:
    """The binding whose key the request shows, or None without a proof. Raises InvalidProof, and UseNonce.

    For the endpoints that hand out tokens or take refresh tokens: there a proof needs a nonce of the server's.
    """
    proof = request.headers.get(PROOF)
    if proof is None:
        return None
    urls = [service.address_of(request)]
    return dpop_binding(service.issuer.proofs.check(proof, method=request.method, urls=urls, with_nonce=True))
