"""Resources that refuse every token: a wrong audience, a server with other keys.

The client answers a refusal with one refresh. If the new access token is refused as well, another refresh would not
help, so refusals by that origin cause no refresh until the token is halfway through its lifetime.
"""

from tenure.client.record import Credentials

REFUSES_ALL = (
    "The access token was refused although it is new: the resource accepts no token of this session. Its audience, "
    "issuer or keys may be others. The session goes on."
)


class Refusals:
    """The origins that have refused a new access token."""

    def __init__(self) -> None:
        self._origins: set[str] = set()

    def may_help(self, origin: str, held: Credentials | None, refused: str, now: float) -> bool:
        """Whether a token other than `refused` may be accepted there."""
        if origin not in self._origins or held is None or held.access_token != refused:
            return True
        return not held.is_young(now)

    def repeated(self, origin: str, held: Credentials | None, refused: bool, now: float) -> bool:
        """Record the result of a repeated request. Returns whether it shows that the origin refuses everything."""
        if not refused:
            self._origins.discard(origin)
        elif origin not in self._origins and held is not None and held.is_young(now):
            self._origins.add(origin)
            return True
        return False
