"""Which refresh token counts, if a browser sends several cookies of one name.

That happens after a change of path or domain, beside another deployment on the same host, and if a neighbouring
subdomain sets one on purpose. Junk is ignored. Of genuine tokens, the newest one of the session that the companion
names counts. The others are ignored as well: they raise no alarm and log nobody in.

Sessions older than companions have none; the store says when they began.
"""

import logging
from dataclasses import dataclass

from tenure.core import existing
from tenure.core.calls import Get
from tenure.core.effects import Flow, call
from tenure.core.errors import ForgedToken, TenureError
from tenure.core.issuer import Issuer
from tenure.core.tokens import RefreshToken, unseal
from tenure.http.cookies import Cookies

_log = logging.getLogger("tenure")


@dataclass(frozen=True, slots=True)
class Presented:
    """A genuine refresh token from a cookie, as text and parsed."""

    text: str
    token: RefreshToken

    def __repr__(self) -> str:
        return f"Presented({self.session_id})"

    @property
    def session_id(self) -> str:
        """The id of its session."""
        return self.token.session_id.hex()


def own_refresh_token(issuer: Issuer, cookies: Cookies) -> Flow[Presented | None]:
    """The genuine refresh token of this browser's own session, or None."""
    genuine = [found for text in cookies.refresh_tokens() if (found := genuine_token(issuer, text)) is not None]
    for companions in (cookies.own_session_ids(), cookies.host_session_ids()):
        own = [found for found in genuine if found.session_id in companions]
        if own:
            return max(own, key=lambda found: found.token.generation)
    if genuine and not cookies.own_session_ids():
        newest = max(genuine, key=lambda found: found.token.generation)
        session = yield from call(Get(newest.session_id))
        if session is not None and session.created_at < issuer.companions_since:
            return newest
    return None


def is_junk(issuer: Issuer, cookies: Cookies) -> bool:
    """Whether refresh tokens came, but no genuine one."""
    texts = cookies.refresh_tokens()
    return bool(texts) and all(genuine_token(issuer, text) is None for text in texts)


def end_replaced(issuer: Issuer, cookies: Cookies, new_session_id: str) -> Flow[None]:
    """End the session whose cookie a login has just replaced (ASVS 5.0, 7.2.4).

    The application's own login may be at a path that does not get the refresh token's cookie; there the companion names
    the session. A failure must not cost the login its response: if the store does not respond, the old session stays.
    """
    try:
        presented = yield from own_refresh_token(issuer, cookies)
        replaced = set(cookies.own_session_ids()) if presented is None else {presented.session_id}
        for session_id in replaced - {new_session_id}:
            yield from existing.end_session(
                issuer, session_id, reason="replaced", by="owner", address=cookies.request.address
            )
    except TenureError as problem:
        _log.warning("the session that %s replaces was not ended: %s", new_session_id, problem)


def genuine_token(issuer: Issuer, text: str) -> Presented | None:
    """A refresh token, parsed, if its tag is right; None otherwise."""
    try:
        return Presented(text, unseal(text, issuer.tag_keys))
    except ForgedToken:
        return None
