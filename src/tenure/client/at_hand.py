"""The access token in memory, and whether it is still valid, by two clocks.

Nobody can set the monotonic clock, but it may stop while the machine sleeps. The wall clock runs on, but can be set. A
token counts as valid while both clocks say so. A wrong clock costs one extra refresh, or one 401 that a refresh
answers.
"""

from collections.abc import Callable

from tenure.client.record import Credentials

_LONGEST_MARGIN = 30.0


class AtHand:
    """The access token that a session holds in memory. monotonic and clock: in seconds, the latter UTC."""

    def __init__(self, monotonic: Callable[[], float], clock: Callable[[], float]) -> None:
        self._monotonic, self._clock = monotonic, clock
        self.credentials: Credentials | None = None
        self._times: tuple[float, float] | None = None

    def hold(self, credentials: Credentials | None) -> None:
        """Hold these credentials from now on, or none."""
        held = credentials if credentials is not None and credentials.access_token is not None else None
        self._times = None
        if held is not None and held.expires_at is not None:
            lives = held.expires_at - self._clock()
            good_until = self._monotonic() + lives
            self._times = (good_until - min(_LONGEST_MARGIN, max(0.0, lives) / 10), good_until)
        self.credentials = held

    @property
    def token(self) -> str | None:
        """The access token, valid or not."""
        return None if self.credentials is None else self.credentials.access_token

    def fresh(self, surely: bool) -> str | None:
        """The access token, unless it is about to expire. surely: only if its expiry is known."""
        times = self._times
        if times is None:
            return None if surely else self.token
        return self._before(times[0])

    def spare(self) -> str | None:
        """The access token, if it is known to be valid, even if it is about to expire."""
        times = self._times
        return None if times is None else self._before(times[1])

    def other_than(self, refused: str | None) -> str | None:
        """The access token, if it is not the refused one and has not expired."""
        token = self.fresh(surely=False) or self.spare()
        return None if token == refused else token

    def _before(self, end: float) -> str | None:
        held = self.credentials
        if held is None or self._monotonic() >= end or held.has_expired(self._clock()):
            return None
        return held.access_token
