"""What the console draws: the last day by the hour, from the store; the last hour by the minute, as observed here."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from tenure.core.calls import CountAudit
from tenure.core.effects import Flow, call
from tenure.core.issuer import Issuer

HOUR, MINUTE = 3600, 60
HOURS, MINUTES = 24, 60

Happened = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart. at: when it begins (seconds, UTC)."""

    at: int
    value: int


class Day:
    """Logins and ends by the hour. An hour that is over is counted once: the trail of it does not change."""

    def __init__(self) -> None:
        self._closed: dict[int, Counter[tuple[str, str]]] = {}
        self._open: tuple[int, Counter[tuple[str, str]]] = (0, Counter())
        self._counting = False

    def count(self, issuer: Issuer) -> Flow[None]:
        """Count what has not been counted yet, unless somebody else is about it."""
        if self._counting:
            return
        self._counting = True
        try:
            yield from self._count(issuer)
        finally:
            self._counting = False

    def _count(self, issuer: Issuer) -> Flow[None]:
        current = int(issuer.now()) // HOUR * HOUR
        since = Counter((yield from call(CountAudit(current))))
        self._open = current, since
        for begin in range(current - HOUR, current - HOURS * HOUR, -HOUR):
            if begin in self._closed:
                break
            more = Counter((yield from call(CountAudit(begin))))
            self._closed[begin] = more - since
            since = more
        self._closed = {begin: counted for begin, counted in self._closed.items() if begin > current - HOURS * HOUR}

    def bars(self, kind: str, *reasons: str) -> list[Bar]:
        """How often this happened in each hour; reasons: for one of these only."""
        current, since = self._open
        hours = {**self._closed, current: since}
        return [
            Bar(begin, sum(n for (k, r), n in hours[begin].items() if k == kind and (not reasons or r in reasons)))
            for begin in sorted(hours)
        ]

    def reasons(self) -> Counter[str]:
        """How often sessions ended in the last day, by reason."""
        total: Counter[str] = Counter()
        for counted in (*self._closed.values(), self._open[1]):
            total.update({reason: n for (kind, reason), n in counted.items() if kind == "revoked"})
        return total


class Observed:
    """What the workers have counted, minute by minute since the console began."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._total: Counter[str] = Counter()
        self._minutes: deque[tuple[int, Counter[str]]] = deque(maxlen=MINUTES)
        self._live: deque[Bar] = deque(maxlen=MINUTES)
        self._first = True

    def sample(self, now: float) -> None:
        """Look at the counts, at this moment (seconds, UTC)."""
        total: Counter[str] = Counter()
        for metric in self._registry.collect():
            if metric.name == "tenure_events":
                for sample in metric.samples:
                    if sample.name == "tenure_events_total":
                        total[sample.labels["kind"]] += int(sample.value)
        minute = int(now) // MINUTE * MINUTE
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, Counter()))
        if not self._first:
            self._minutes[-1][1].update(total - self._total)
        self._first, self._total = False, total

    def live(self, now: float, sessions: int) -> None:
        """Keep how many live sessions there are."""
        minute = int(now) // MINUTE * MINUTE
        if self._live and self._live[-1].at == minute:
            self._live.pop()
        self._live.append(Bar(minute, sessions))

    def bars(self, kind: str) -> list[Bar]:
        """How often this happened in each minute."""
        return [Bar(minute, counted[kind]) for minute, counted in self._minutes]

    @property
    def live_bars(self) -> list[Bar]:
        """How many live sessions there were in each minute."""
        return list(self._live)
