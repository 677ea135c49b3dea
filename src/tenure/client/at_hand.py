"""The access token at hand: whether it is good, by two clocks.

The monotonic clock is set by nobody but may stand still while a machine sleeps; the wall clock goes on, but may be set.
A token is good while both say so; a wrong clock costs a refresh, or a refusal that is answered by one.
"""

from collections.abc import Callable

from tenure.client.record import Credentials

_LONGEST_MARGIN = 30.0


class AtHand:
    """What a session has in its hand. monotonic and clock: seconds, the latter UTC."""

    def __init__(self, monotonic: Callable[[], float], clock: Callable[[], float]) -> None:
        self._monotonic, self._clock = monotonic, clock
        self.credentials: Credentials | None = None
        self._times: tuple[float, float] | None = None

    def hold(self, credentials: Credentials | None) -> None:
        """Have these credentials at hand from now on, or none."""
        held = credentials if credentials is not None and credentials.access_token is not None else None
        self._times = None
        if held is not None and held.expires_at is not None:
            lives = held.expires_at - self._clock()
            good_until = self._monotonic() + lives
            self._times = (good_until - min(_LONGEST_MARGIN, max(0.0, lives) / 10), good_until)
        self.credentials = held

    @property
    def token(self) -> str | None:
        """The access token, good or not."""
        return None if self.credentials is None else self.credentials.access_token

    def fresh(self, surely: bool) -> str | None:
        """The access token, if it is not about to expire. surely: only if that is known."""
        times = self._times
        if times is None:
            return None if surely else self.token
        return self._before(times[0])

    def spare(self) -> str | None:
        """The access token, if it is known to be good: also if it is about to expire."""
        times = self._times
        return None if times is None else self._before(times[1])

    def other_than(self, refused: str | None) -> str | None:
        """The access token, if it is another than the refused one and has not expired."""
        token = self.fresh(surely=False) or self.spare()
        return None if token == refused else token

    def _before(self, end: float) -> str | None:
        held = self.credentials
        if held is None or self._monotonic() >= end or held.has_expired(self._clock()):
            return None
        return held.access_token
