"""Keep people logged in, securely: short-lived access tokens, rotating refresh tokens, sessions that end at once."""

from tenure.async_sessions import AsyncTenure
from tenure.core.access import Claims
from tenure.core.errors import (
    ConfigurationError,
    ExpiredAccessToken,
    ForgedToken,
    InvalidAccessToken,
    InvalidGrant,
    InvalidProof,
    InvalidRequest,
    InvalidScope,
    LoginRefused,
    ProofRequired,
    RevokedAccessToken,
    SessionEnded,
    StolenTokenRefused,
    StoreUnavailable,
    TenureError,
    UseNonce,
    WrongClient,
)
from tenure.core.events import Event
from tenure.core.issuer import TokenPair
from tenure.core.policy import NIST_AAL1, NIST_AAL2, NIST_AAL3, Lifetime, Policy
from tenure.core.session import AuditEntry, Authentication, Session
from tenure.core.step_up import InsufficientAuthentication, Requirement, acr, recent
from tenure.sessions import Tenure
from tenure.verifying.verifier import Verifier

__version__ = "0.1.0"

__all__ = [
    "NIST_AAL1",
    "NIST_AAL2",
    "NIST_AAL3",
    "AsyncTenure",
    "AuditEntry",
    "Authentication",
    "Claims",
    "ConfigurationError",
    "Event",
    "ExpiredAccessToken",
    "ForgedToken",
    "InsufficientAuthentication",
    "InvalidAccessToken",
    "InvalidGrant",
    "InvalidProof",
    "InvalidRequest",
    "InvalidScope",
    "Lifetime",
    "LoginRefused",
    "Policy",
    "ProofRequired",
    "Requirement",
    "RevokedAccessToken",
    "Session",
    "SessionEnded",
    "StolenTokenRefused",
    "StoreUnavailable",
    "Tenure",
    "TenureError",
    "TokenPair",
    "UseNonce",
    "Verifier",
    "WrongClient",
    "__version__",
    "acr",
    "recent",
]
