"""Flows over all sessions, for operators: count and list them, and end many after an incident.

Each proceeds in steps with pauses, so that a refresh waits for a few milliseconds at most.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tenure.core.calls import CountAudit, DeleteRecord, ListLatest, ListRecords, PutRecord, RevokeWhere, Survey
from tenure.core.cutoffs import KIND, REASON, Cutoff, cutoff, cutoff_in
from tenure.core.effects import Flow, Pause, call
from tenure.core.errors import InvalidRequest
from tenure.core.inputs import check_limit, check_text
from tenure.core.issuer import Issuer
from tenure.core.session import FOREVER, Page, Session, Which

LATELY_SECONDS = 86400.0
LONGEST_PAGE = 1000
_PAUSE_SECONDS = 0.01
_SWEEP_STEP = 1000
_GRACE_SECONDS = 10.0
STEPS_AT_A_GLANCE = 10
"""How much of the store an overview looks at that need not be exact."""

_CURSOR = re.compile(r"[0-9]{1,19}:[0-9a-f]{32}")

Progress = Callable[[float], object]
"""Called with the part that is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The sessions there are, and what has happened since `since` (seconds, UTC).

    live: live sessions; by_client: the same for each client. refreshed: live sessions that were refreshed since then (a
    refresh leaves no other trace). logins, ended (by reason) and thefts: from the audit trail. estimated: live,
    by_client and refreshed are extrapolated from a sample, which is fair as ids are random.
    """

    now: float
    since: float
    live: int
    refreshed: int
    estimated: bool
    by_client: Mapping[str, int]
    logins: int
    ended: Mapping[str, int] = field(default_factory=dict)

    @property
    def thefts(self) -> int:
        """How many sessions were ended because an old refresh token was presented."""
        return self.ended.get("reuse_detected", 0)


def which_sessions(before: float | None = None, client_id: str = "", device: str = "") -> Which:
    """Check and build a selection of sessions. Raises InvalidRequest for invalid arguments.

    before: sessions that began before this moment, in seconds since 1970, UTC (a datetime's `timestamp()`).
    """
    check_text("client_id", client_id)
    check_text("device", device)
    if before is None:
        return Which(FOREVER, client_id, device)
    _check_moment("before", before)
    return Which(float(before), client_id, device)


def _check_moment(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= FOREVER:
        raise InvalidRequest(
            f"{name} is a number of seconds since 1970, UTC, not {type(value).__name__}: of a datetime that knows its "
            "zone, .timestamp()."
        )


def overview(issuer: Issuer, *, since: float | None = None, steps: int | None = None) -> Flow[Overview]:
    """Count the sessions and what happened lately (in the last day by default), looking at no more than `steps`
    steps."""
    if since is not None:
        _check_moment("since", since)
    now = issuer.now()
    begin = now - LATELY_SECONDS if since is None else since
    live, refreshed, by_client, seen = yield from _survey(issuer, Which(), begin, steps, lambda _: None)
    happened = yield from call(CountAudit(begin))
    return Overview(
        now=now,
        since=begin,
        live=round(live / seen),
        refreshed=round(refreshed / seen),
        estimated=seen < 1.0,
        by_client={client: round(count / seen) for client, count in by_client.items()},
        logins=sum(count for (kind, _), count in happened.items() if kind == "logged_in"),
        ended={reason: count for (kind, reason), count in happened.items() if kind == "revoked"},
    )


def count_where(issuer: Issuer, which: Which, progress: Progress = lambda _: None) -> Flow[int]:
    """Count the matching live sessions."""
    live, *_ = yield from _survey(issuer, which, issuer.now(), None, progress)
    return live


def latest(issuer: Issuer, which: Which, *, cursor: str = "", limit: int = 100) -> Flow[Page]:
    """The matching live sessions, latest login first. Raises InvalidRequest."""
    check_limit(limit, LONGEST_PAGE)
    check_text("cursor", cursor)
    if cursor and not _CURSOR.fullmatch(cursor):
        raise InvalidRequest("cursor is what the page before has answered.")
    return (yield from call(ListLatest(which, issuer.now(), cursor, limit)))


def cut_off(issuer: Issuer, which: Which, by: str) -> Flow[Cutoff]:
    """End all matching sessions from this moment on, by a cutoff. `sweep` then ends them one by one."""
    check_text("by", by)
    made = cutoff(issuer.now(), which, by)
    yield from call(PutRecord(KIND, made.name, made.body()))
    yield from load_cutoffs(issuer)
    return made


def page_of_subject(live: Sequence[Session], cursor: str, limit: int) -> Page:
    """A page of a subject's sessions, oldest first. cursor: the last id of the page before, or ""."""
    ids = [session.id for session in live]
    if cursor and cursor not in ids:
        raise InvalidRequest("cursor is what the page before has answered; that session has ended. Begin again.")
    begin = ids.index(cursor) + 1 if cursor else 0
    some = live[begin : begin + limit]
    return Page(tuple(some), some[-1].id if begin + limit < len(live) else "", 1.0)


def sweep(
    issuer: Issuer, made: Cutoff, progress: Progress = lambda _: None, *, steps: int | None = None
) -> Flow[tuple[int, bool]]:
    """End the sessions that match a cutoff, each with an audit entry, in at most `steps` steps.

    Returns how many were ended, and whether those were all; upkeep goes on with the rest.
    """
    ended, cursor, taken = 0, "", 0
    while taken != steps:
        taken += 1
        now = issuer.now()
        step = RevokeWhere(made.which, now, REASON, made.by, cursor, _SWEEP_STEP, issuer.audit(now, ""))
        swept = yield from call(step)
        ended, cursor = ended + swept.ended, swept.cursor
        progress(swept.progress)
        if not cursor:
            yield from call(PutRecord(KIND, made.name, replace(made, swept=True).body(), replace=True))
            yield from load_cutoffs(issuer)
            return ended, True
        yield Pause(_PAUSE_SECONDS)
    return ended, False


def go_on_sweeping(issuer: Issuer) -> Flow[None]:
    """Upkeep: resume sweeps that were interrupted, once their own process has had time to finish them."""
    for made in issuer.checker.cutoffs:
        if not made.swept and issuer.now() - made.at > _GRACE_SECONDS:
            yield from sweep(issuer, made)


def load_cutoffs(issuer: Issuer) -> Flow[None]:
    """Apply the cutoffs in the store. A swept one is deleted once all earlier access tokens have expired."""
    kept = []
    for name, body in (yield from call(ListRecords(KIND))):
        found = cutoff_in(body)
        last = found.at + issuer.policy.access_ttl + issuer.policy.clock_skew
        if found.swept and last < issuer.now():
            yield from call(DeleteRecord(KIND, name))
        else:
            kept.append(found)
    issuer.use_cutoffs(kept)


def _survey(
    issuer: Issuer, which: Which, since: float, steps: int | None, progress: Progress
) -> Flow[tuple[int, int, Counter[str], float]]:
    live, refreshed, cursor, taken = 0, 0, "", 0
    by_client: Counter[str] = Counter()
    while True:
        counts = yield from call(Survey(which, issuer.now(), since, cursor))
        live, refreshed, cursor, taken = live + counts.live, refreshed + counts.refreshed, counts.cursor, taken + 1
        by_client.update(counts.by_client)
        progress(counts.progress)
        if not cursor or (steps is not None and taken >= steps and counts.progress > 0.0):
            return live, refreshed, by_client, counts.progress if cursor else 1.0
        yield Pause(_PAUSE_SECONDS)
