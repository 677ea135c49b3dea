"""The one conformance suite: what every store must do, through its blocking and its asyncio side.

A new store is added to `STORES` and nowhere else.
"""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenure import ConfigurationError, StoreUnavailable, stores
from tenure.core.calls import (
    Advance,
    Audit,
    Call,
    Create,
    DeleteRecord,
    Get,
    GetRecord,
    KeepAudit,
    ListAudit,
    ListRecords,
    ListSubject,
    Purge,
    PutRecord,
    Reauthenticate,
    Restore,
    Revoke,
    RevokedSince,
    RevokeSubject,
    Scan,
    ScanAudit,
    Shorten,
)
from tenure.core.family import Head
from tenure.core.session import AuditEntry, Authentication, Session
from tenure.core.tokens import session_id_for
from tenure.stores.protocol import Store
from tests.integrations.django_stores import mysql_alias, postgres_alias, sqlite_alias
from tests.stores.mysql_servers import mysql_database, mysql_server
from tests.stores.servers import postgres_database, valkey_cluster, valkey_database

STORES: dict[str, Callable[[Path], str]] = {
    "memory": lambda folder: "memory://",
    "sqlite": lambda folder: f"sqlite:///{folder}/store.db",
    "postgres": lambda folder: postgres_database(),
    "mariadb": lambda folder: mysql_database(mysql_server("mariadb")),
    "mysql": lambda folder: mysql_database(mysql_server("mysql")),
    "valkey": lambda folder: valkey_database(),
    "valkey-cluster": lambda folder: valkey_cluster(),
    "django-sqlite": lambda folder: f"django://{sqlite_alias(folder)}",
    "django-mariadb": lambda folder: f"django://{mysql_alias('mariadb')}",
    "django-mysql": lambda folder: f"django://{mysql_alias('mysql')}",
    "django-postgres": lambda folder: f"django://{postgres_alias()}",
}
NOW = 1_800_000_000.25

Ask = Callable[[Call[Any]], Any]


def open_store(url: str) -> Store:
    """As the library's own; and Django's databases, which no URL names, by their alias."""
    if url.startswith("django://"):
        from tenure.integrations.django.store import DjangoStore

        return DjangoStore(url.removeprefix("django://"))
    return stores.open_store(url)


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return STORES[request.param](tmp_path)


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest, url: str) -> Iterator[Ask]:
    store = open_store(url)
    if request.param == "blocking":
        yield store.run
    else:
        with asyncio.Runner() as runner:
            yield lambda call: runner.run(store.arun(call))
    store.close()


def hashed(number: int) -> bytes:
    return bytes([number]) * 32


def session(subject: str = "user-42", created_at: float = NOW, **changes: Any) -> Session:
    made = Session(
        id=session_id_for(changes.get("subject", subject), os.urandom).hex(),
        subject=subject,
        client_id="first-party",
        scope="read write",
        claims={"roles": ["editor", "é"], "level": 7, "nothing": None},
        device="Firefox – Linux",
        created_at=created_at,
        expires_at=created_at + 100,
        ends_at=created_at + 1000,
        head=Head(0, hashed(0), None, created_at),
    )
    return replace(made, **changes)


def advance(of: Session, generation: int = 1, now: float = NOW + 5, **changes: Any) -> Advance:
    head = Head(generation, hashed(generation), hashed(99), now)
    call = Advance(of.id, of.client_id, generation - 1, hashed(generation - 1), head, now + 100)
    return replace(call, **changes)


def create(ask: Ask, **details: Any) -> Session:
    made = session(**details)
    assert ask(Create(made)) == ()
    return made


def test_what_is_created_is_got_back_exactly(ask: Ask) -> None:
    made = create(ask)
    assert ask(Get(made.id)) == made
    assert ask(Get("00" * 16)) is None


def test_what_is_made_and_ended_leaves_a_trail(ask: Ask, url: str) -> None:
    kept = Audit("203.0.113.7", NOW + 100)
    one, two, other = session(), session(created_at=NOW + 1), session("other")
    quiet = session("quiet", device="")
    for made in (one, two, other):
        assert ask(Create(made, audit=kept)) == ()
    create(ask, subject="user-42", created_at=NOW + 2)  # leaves nothing
    ask(Create(quiet, audit=Audit("", NOW + 3)))
    ask(Revoke(one.id, NOW + 3, "reuse_detected", "policy", Audit("198.51.100.9", NOW + 200)))
    ask(Revoke(one.id, NOW + 4, "again", "nobody", Audit("198.51.100.9", NOW + 200)))
    ask(RevokeSubject("user-42", NOW + 5, "password", "owner", audit=Audit("2001:db8::1", NOW + 200)))

    def entry(at: float, kind: Any, of: Session, address: str, *why: str) -> AuditEntry:
        return AuditEntry(at, kind, of.id, of.client_id, of.device, address, *why)

    login = [entry(made.created_at, "logged_in", made, "203.0.113.7") for made in (one, two)]
    theft = entry(NOW + 3, "revoked", one, "198.51.100.9", "reuse_detected", "policy")
    trail = ask(ListAudit("user-42", NOW + 6))
    ended = {found.session_id for found in trail[:2]}
    assert trail[2:] == (theft, login[1], login[0])
    assert {(found.at, found.reason, found.by, found.address) for found in trail[:2]} == {
        (NOW + 5, "password", "owner", "2001:db8::1")
    }
    assert len(ended) == 2
    assert two.id in ended
    assert ask(ListAudit("user-42", NOW + 6, limit=1)) == trail[:1]
    assert ask(ListAudit("user-42", NOW + 100)) == trail[:3]
    assert ask(ListAudit("other", NOW)) == (entry(NOW, "logged_in", other, "203.0.113.7"),)
    assert ask(ListAudit("nobody", NOW)) == ()
    assert ask(ListAudit("quiet", NOW)) == (entry(NOW, "logged_in", quiet, ""),)
    ask(Purge(NOW - 1000, NOW + 100))
    if not url.startswith("valkey"):  # where the server forgets by itself
        assert ask(ListAudit("user-42", NOW)) == trail[:3]
        assert ask(ListAudit("quiet", NOW)) == ()


def test_all_trails_are_gone_through_and_kept_elsewhere(ask: Ask) -> None:
    for number in range(25):
        made = session(f"user-{number % 3}", created_at=NOW + number)
        ask(Create(made, audit=Audit("203.0.113.7", NOW + 100 + number)))
        ask(Revoke(made.id, NOW + 50 + number, "x", "y", Audit("", NOW + 200)))
    seen, cursor = set[KeepAudit](), ""
    while True:
        page = ask(ScanAudit(cursor, 10))
        seen.update(page.entries)
        cursor = page.cursor
        if not cursor:
            break
    assert len(seen) == 50
    assert {(keep.subject, keep.entry) for keep in seen} == {
        (f"user-{number}", entry) for number in range(3) for entry in ask(ListAudit(f"user-{number}", NOW))
    }
    assert {keep.until for keep in seen if keep.entry.kind == "revoked"} == {NOW + 200}
    for entry in (
        AuditEntry(NOW, "logged_in", "ab" * 16, "app", "Gerät", "2001:db8::1"),
        AuditEntry(NOW + 1, "revoked", "ab" * 16, "app", "Gerät", "", "reuse_detected", "policy"),
    ):
        keep = KeepAudit("Zoë", NOW + 300, entry)
        assert [ask(keep), ask(keep)] == [True, False]
    assert [entry.kind for entry in ask(ListAudit("Zoë", NOW))] == ["revoked", "logged_in"]
    assert ask(ListAudit("Zoë", NOW))[0] == entry
    assert ask(ListAudit("Zoë", NOW + 300)) == ()


def test_who_gives_way_leaves_a_trail_and_who_is_refused_does_not(ask: Ask) -> None:
    one, two, three = session(), session(created_at=NOW + 1), session(created_at=NOW + 2)
    audit = Audit("203.0.113.7", NOW + 100)
    ask(Create(one, 1, audit=audit))
    ask(Create(two, 1, audit=audit))
    assert ask(Create(three, 1, end_oldest=False, audit=audit)) is None
    trail = ask(ListAudit("user-42", NOW))
    assert {(entry.at, entry.kind, entry.session_id, entry.reason) for entry in trail} == {
        (NOW + 1, "logged_in", two.id, None),
        (NOW + 1, "revoked", one.id, "session_limit"),
        (NOW, "logged_in", one.id, None),
    }


def test_advance_moves_the_expected_head(ask: Ask) -> None:
    made = create(ask)
    call = advance(made)
    moved = replace(made, head=call.head, expires_at=NOW + 105)
    assert ask(call) == moved
    assert ask(Get(made.id)) == moved
    assert moved.last_used_at == NOW + 5
    following = advance(moved, 2, head=Head(2, hashed(2), None, NOW + 6))
    assert ask(following).head.attempt_hash is None


@pytest.mark.parametrize(
    "changes",
    [
        {"expected_generation": 1},
        {"expected_hash": hashed(7)},
        {"client_id": "other"},
        {"session_id": "00" * 16},
        {"head": Head(1, hashed(1), None, NOW + 100)},
        {"head": Head(1, hashed(1), None, NOW + 5000)},
        {"expected_binding": "dpop:key"},
        {"expected_binding": "dpop:key", "binding": "dpop:key"},
    ],
)
def test_advance_changes_nothing_where_anything_differs(ask: Ask, changes: dict[str, Any]) -> None:
    made = create(ask)
    assert ask(advance(made, **changes)) is None
    assert ask(Get(made.id)) == made


@pytest.mark.parametrize("attempt_hash", [None, hashed(98)])
def test_a_session_is_bound_once(ask: Ask, attempt_hash: bytes | None) -> None:
    made = create(ask)
    bound = ask(advance(made, head=Head(1, hashed(1), attempt_hash, NOW + 5), binding="dpop:key"))
    assert bound.binding == "dpop:key"
    assert ask(Get(made.id)) == bound
    for wrong in (None, "dpop:other", "dpop:ke", "dpop:key2", ""):
        assert ask(advance(bound, 2, expected_binding=wrong, binding=wrong)) is None
    assert ask(Get(made.id)) == bound
    moved = ask(advance(bound, 2, expected_binding="dpop:key", binding="dpop:key"))
    assert (moved.binding, moved.head.generation) == ("dpop:key", 2)
    assert moved.claims == made.claims
    assert ask(ListSubject(made.subject, NOW + 6)) == (moved,)
    ended = ask(Revoke(made.id, NOW + 7, "logged_out", "owner"))
    assert (ended.binding, ended.revoked_reason) == ("dpop:key", "logged_out")
    assert ask(Get(made.id)) == ended


def test_a_session_is_made_bound_and_taken_along(ask: Ask) -> None:
    made = create(ask, binding="dpop:key", client_id="ä client")
    assert ask(Get(made.id)) == made
    assert ask(advance(made)) is None
    elsewhere = session(binding="dpop:other")
    assert ask(Restore(elsewhere)) is True
    assert ask(Get(elsewhere.id)) == elsewhere
    moved = ask(advance(elsewhere, expected_binding="dpop:other", binding="dpop:other"))
    assert ask(Restore(replace(moved, binding="dpop:other", head=Head(2, hashed(2), None, NOW + 6)))) is True
    assert ask(Get(elsewhere.id)).binding == "dpop:other"


def test_advance_happens_once(ask: Ask) -> None:
    made = create(ask)
    assert ask(advance(made)) is not None
    assert ask(advance(made)) is None


def test_the_absolute_end_bounds_the_idle_one(ask: Ask) -> None:
    made = create(ask)
    assert ask(advance(made, idle_deadline=NOW + 5000)).expires_at == made.ends_at


def test_a_revoked_session_does_not_advance_and_stays_readable(ask: Ask) -> None:
    made = create(ask)
    ended = ask(Revoke(made.id, NOW + 1, "stolen", "owner"))
    assert ended == replace(made, revoked_at=NOW + 1, revoked_reason="stolen", revoked_by="owner")
    assert ask(advance(made)) is None
    assert ask(Get(made.id)) == ended
    assert ask(Revoke(made.id, NOW + 2, "again", "other")) is None
    assert ask(Get(made.id)) == ended
    assert ask(Revoke("00" * 16, NOW, "x", "y")) is None


def test_a_limit_ends_the_oldest(ask: Ask) -> None:
    old = [create(ask, created_at=NOW + number) for number in range(3)]
    expired = create(ask, created_at=NOW - 500)
    other = create(ask, subject="user-43", created_at=NOW - 1)
    new = session(created_at=NOW + 10)
    assert ask(Create(new, limit=2)) == (old[0].id, old[1].id)
    assert [s.id for s in ask(ListSubject("user-42", NOW + 10))] == [old[2].id, new.id]
    assert ask(Get(old[0].id)).revoked_reason == "session_limit"
    assert ask(Get(expired.id)).revoked_at is None
    assert ask(Get(other.id)).revoked_at is None


def test_a_limit_may_refuse_the_new_one(ask: Ask) -> None:
    old = create(ask)
    new = session()
    assert ask(Create(new, limit=1, end_oldest=False)) is None
    assert ask(Get(new.id)) is None
    assert ask(Get(old.id)) == old
    assert ask(Create(new, limit=2, end_oldest=False)) == ()


def test_a_subjects_live_sessions_are_listed_the_oldest_first(ask: Ask) -> None:
    third, first, second = (create(ask, created_at=NOW + age) for age in (3, 1, 2))
    create(ask, created_at=NOW - 99.9)
    revoked = create(ask)
    create(ask, subject="user-43")
    ask(Revoke(revoked.id, NOW, "x", "y"))
    assert ask(ListSubject("user-42", NOW + 3)) == (first, second, third)
    assert ask(ListSubject("nobody", NOW)) == ()


def test_all_sessions_of_a_subject_end_but_one(ask: Ask) -> None:
    kept, *others = (create(ask, created_at=NOW + number) for number in range(3))
    stranger = create(ask, subject="user-43")
    ended = ask(RevokeSubject("user-42", NOW + 9, "password", "owner", kept.id))
    assert ended == tuple(other.id for other in others)
    assert ask(ListSubject("user-42", NOW + 9)) == (kept,)
    assert ask(Get(others[0].id)).revoked_by == "owner"
    assert ask(ListSubject("user-43", NOW)) == (stranger,)
    assert ask(RevokeSubject("user-42", NOW + 9, "password", "owner")) == (kept.id,)
    assert ask(RevokeSubject("user-42", NOW + 9, "password", "owner")) == ()


def test_the_feed_tells_each_revocation_once_and_in_order(ask: Ask) -> None:
    begin = ask(RevokedSince(0))
    assert begin.revoked == ()
    one, two, three, four = (create(ask, created_at=NOW + number) for number in range(4))
    ask(Revoke(two.id, NOW + 1, "x", "y"))
    news = ask(RevokedSince(begin.position))
    assert news.revoked == ((two.id, NOW + 1),)
    assert ask(RevokedSince(news.position)).revoked == ()
    ask(RevokeSubject("user-42", NOW + 2, "x", "y", four.id))
    ask(Create(session(created_at=NOW + 5), limit=1))
    more = ask(RevokedSince(news.position))
    assert set(more.revoked[:2]) == {(one.id, NOW + 2), (three.id, NOW + 2)}  # of one call, in any order
    assert more.revoked[2:] == ((four.id, NOW + 5),)
    assert ask(RevokedSince(0)).revoked == (*news.revoked, *more.revoked)


def test_purge_deletes_what_is_over_and_nothing_else(ask: Ask, url: str) -> None:
    live = create(ask)
    expired = create(ask, created_at=NOW - 200)
    revoked, lately = create(ask), create(ask)
    ask(Revoke(revoked.id, NOW - 60, "x", "y"))
    ask(Revoke(lately.id, NOW, "x", "y"))
    if "valkey" in url:  # forgets sessions by itself: test_valkey.py
        assert ask(Purge(NOW - 50, NOW, limit=10)) == 0
    else:
        assert ask(Purge(NOW - 50, NOW, limit=1)) == 1
        assert ask(Purge(NOW - 50, NOW, limit=10)) == 1
        assert ask(Purge(NOW - 50, NOW, limit=10)) == 0
        assert [ask(Get(s.id)) is not None for s in (live, expired, revoked, lately)] == [True, False, False, True]
    assert [session_id for session_id, _ in ask(RevokedSince(0)).revoked] == [lately.id]


def scanned(ask: Ask, limit: int) -> list[Session]:
    found: list[Session] = []
    cursor, seen = "", 0.0
    while True:
        page = ask(Scan(cursor, limit))
        assert seen <= page.progress <= 1
        found += page.sessions
        cursor, seen = page.cursor, page.progress
        if not cursor:
            assert seen == 1
            return found


def test_a_scan_tells_all_sessions(ask: Ask) -> None:
    assert scanned(ask, 10) == []
    made = [create(ask, subject=f"user-{number}") for number in range(120)]
    ask(PutRecord("client", "one", "x"))
    ask(Revoke(made[0].id, NOW, "x", "y"))
    made[0] = ask(Get(made[0].id))
    ask(advance(made[1]))
    made[1] = ask(Get(made[1].id))
    for limit in (7, 1000):
        found = {one.id: one for one in scanned(ask, limit)}
        assert found == {one.id: one for one in made}


def test_restoring_never_turns_back(ask: Ask) -> None:
    made = session(head=Head(3, hashed(3), hashed(99), NOW + 2), expires_at=NOW + 77)
    assert ask(Restore(made))
    assert ask(Get(made.id)) == made
    assert ask(ListSubject("user-42", NOW)) == (made,)
    assert ask(Restore(made))
    newer = replace(made, head=Head(4, hashed(4), None, NOW + 3), expires_at=NOW + 88)
    assert ask(Restore(newer))
    assert not ask(Restore(made))
    assert ask(Get(made.id)) == newer
    assert ask(RevokeSubject("user-42", NOW + 4, "x", "y")) == (made.id,)
    assert not ask(Restore(newer))
    assert ask(Get(made.id)).revoked_at == NOW + 4


def test_the_feeds_position_is_never_given_twice(ask: Ask) -> None:
    gone = create(ask)
    ask(Revoke(gone.id, NOW - 60, "x", "y"))
    position = ask(RevokedSince(0)).position
    ask(Purge(NOW, NOW, limit=10))
    assert ask(RevokedSince(0)).revoked == ()
    later = create(ask)
    ask(Revoke(later.id, NOW, "x", "y"))
    assert ask(RevokedSince(position)).revoked == ((later.id, NOW),)


def test_records(ask: Ask) -> None:
    assert ask(GetRecord("account", "ada")) is None
    assert not ask(PutRecord("account", "ada", "x", replace=True))
    assert ask(PutRecord("account", "ada", "one"))
    assert not ask(PutRecord("account", "ada", "two"))
    assert ask(GetRecord("account", "ada")) == "one"
    assert ask(PutRecord("account", "ada", "three", replace=True))
    assert ask(PutRecord("account", "Bert – é", "four"))
    assert ask(PutRecord("client", "ada", "five"))
    assert ask(ListRecords("account")) == (("Bert – é", "four"), ("ada", "three"))
    assert ask(DeleteRecord("account", "ada"))
    assert not ask(DeleteRecord("account", "ada"))
    assert ask(GetRecord("client", "ada")) == "five"
    assert "secret" not in repr(PutRecord("account", "ada", "secret"))


@pytest.mark.parametrize("text", ["x'); DROP TABLE sessions; --", "%", "_", "{}", '"', "\\", "🔑"])
def test_text_is_only_text(ask: Ask, text: str) -> None:
    made = create(ask, subject=text, device=text, client_id=text, claims={text: text}, scope=text)
    assert ask(ListSubject(text, NOW)) == (made,)
    assert ask(advance(made)).claims == {text: text}


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def test_of_many_concurrent_advances_one_wins(store: Store) -> None:
    made = session()
    store.run(Create(made))
    contenders = [advance(made, head=Head(1, bytes([number]) * 32, None, NOW + 5)) for number in range(32)]

    async def present() -> list[Session | None]:
        return await asyncio.gather(*[store.arun(call) for call in contenders])

    winners = [moved for moved in asyncio.run(present()) if moved is not None]
    assert len(winners) == 1
    assert store.run(Get(made.id)) == winners[0]


def test_a_chain_presented_all_at_once_moves_in_order(store: Store) -> None:
    made = session()
    store.run(Create(made))

    async def present() -> list[Session | None]:
        return await asyncio.gather(*[store.arun(advance(made, generation)) for generation in range(1, 40)])

    moved = asyncio.run(present())
    assert [s.head.generation for s in moved if s is not None] == list(range(1, 40))


def test_many_sessions_at_once_from_threads_and_from_loops(store: Store) -> None:
    made = [session(subject=f"user-{number}") for number in range(300)]

    async def all_of(calls: list[Call[Any]]) -> list[Any]:
        return await asyncio.gather(*[store.arun(call) for call in calls])

    asyncio.run(all_of([Create(one) for one in made]))

    def work(share: list[Session]) -> None:
        for generation in range(1, 4):
            for one in share:
                assert store.run(advance(one, generation)) is not None

    threads = [threading.Thread(target=work, args=(made[part:150:3],)) for part in range(3)]
    for thread in threads:
        thread.start()
    for generation in range(1, 4):
        assert None not in asyncio.run(all_of([advance(one, generation) for one in made[150:]]))
    for thread in threads:
        thread.join()
    assert {store.run(Get(one.id)).head.generation for one in made} == {3}


def test_mixed_calls_are_each_answered_with_their_own(store: Store) -> None:
    one, two = session(), session("user-43")

    async def ask_all() -> list[Any]:
        calls = [
            Create(one), Create(two), advance(one), Get(two.id), Revoke(two.id, NOW, "x", "y"), advance(two),
            ListSubject("user-42", NOW),
        ]  # fmt: skip
        return await asyncio.gather(*[store.arun(call) for call in calls])

    answers = asyncio.run(ask_all())
    assert answers[:2] == [(), ()]
    assert (answers[2].id, answers[3], answers[4].id, answers[5]) == (one.id, two, two.id, None)
    assert [s.id for s in answers[6]] == [one.id]
    assert store.run(RevokedSince(0)).revoked == ((two.id, NOW),)


def test_a_call_that_fails_costs_the_others_nothing(store: Store) -> None:
    made = session()
    bad = replace(session(), id="no hexadecimal", claims={})

    async def ask_all() -> list[Any]:
        calls: list[Call[Any]] = [Create(made), Get("no hexadecimal"), Create(replace(bad)), advance(made)]
        return await asyncio.gather(*[store.arun(call) for call in calls], return_exceptions=True)

    answers = asyncio.run(ask_all())
    assert answers[0] == ()
    assert answers[3].head.generation == 1
    assert store.run(Get(made.id)).head.generation == 1


def test_a_caller_that_gives_up_harms_nobody(store: Store) -> None:
    made = session()
    store.run(Create(made))

    async def give_up() -> Session:
        impatient = asyncio.ensure_future(store.arun(advance(made)))
        await asyncio.sleep(0)
        impatient.cancel()
        found = await store.arun(Get(made.id))
        assert found is not None
        return found

    assert asyncio.run(give_up()).head.generation in (0, 1)


def test_a_closed_store_says_so(url: str) -> None:
    if url == "memory://":
        return  # has nothing to close
    store = open_store(url)

    async def too_late() -> None:
        waiting = asyncio.ensure_future(store.arun(Get("00" * 16)))
        await asyncio.sleep(0)
        store.close()
        store.close()
        with pytest.raises(StoreUnavailable, match="was closed"):
            await waiting
        with pytest.raises(StoreUnavailable, match="was closed"):
            await store.arun(Get("00" * 16))

    asyncio.run(too_late())
    with pytest.raises(StoreUnavailable, match="was closed"):
        store.run(Get("00" * 16))


def test_revocations_are_pushed_where_the_store_can(url: str) -> None:
    if not url.startswith(("postgresql:", "valkey")):
        return  # polled
    heard: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
    writer, listener = open_store(url), open_store(url)
    listener.watch(lambda session_id, at: heard.put((session_id, at)))
    made = [session(created_at=NOW + number) for number in range(3)]
    for one in made:
        writer.run(Create(one))
    while heard.empty():  # until it listens
        probe = session("user-43")
        writer.run(Create(probe))
        writer.run(Revoke(probe.id, NOW, "x", "y"))
        time.sleep(0.05)
    writer.run(Create(session(created_at=NOW + 5), limit=3))
    writer.run(RevokeSubject("user-42", NOW + 9, "x", "y"))
    told = set()
    while len(told) < 4:
        session_id, at = heard.get(timeout=10)
        if at > NOW:
            told.add((session_id, at))
    assert {(made[0].id, NOW + 5), (made[1].id, NOW + 9), (made[2].id, NOW + 9)} < told
    writer.close()
    listener.close()


def test_an_unknown_store_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        open_store("oracle://")


def test_a_session_has_a_lifetime_of_its_own(ask: Ask) -> None:
    made = create(ask, lifetime="kiosk", idle_ttl=100.0, expires_at=NOW + 100)
    assert ask(Get(made.id)) == made
    moved = ask(advance(made, head=Head(1, hashed(1), None, NOW + 50), idle_deadline=NOW + 9000))
    assert (moved.expires_at, moved.idle_ttl, moved.lifetime) == (NOW + 150, 100.0, "kiosk")
    assert ask(Get(made.id)) == moved
    late = ask(advance(moved, 2, head=Head(2, hashed(2), None, NOW + 149)))
    assert (late.expires_at, late.ends_at) == (NOW + 249, made.ends_at)


def test_a_session_of_before_ends_when_the_caller_says(ask: Ask) -> None:
    made = create(ask)
    moved = ask(advance(made, head=Head(1, hashed(1), None, NOW + 5), idle_deadline=NOW + 77))
    assert (moved.expires_at, moved.idle_ttl) == (NOW + 77, None)


@pytest.mark.parametrize("binding", [None, "dpop:key"])
def test_a_session_is_shortened_and_never_lengthened(ask: Ask, binding: str | None) -> None:
    made = create(ask, idle_ttl=1000.0, expires_at=NOW + 1000, binding=binding)
    shorter = ask(Shorten(made.id, 60.0, NOW + 500))
    assert (shorter.idle_ttl, shorter.ends_at, shorter.expires_at) == (60.0, NOW + 500, NOW + 60)
    assert shorter == replace(made, idle_ttl=60.0, ends_at=NOW + 500, expires_at=NOW + 60)
    assert ask(Shorten(made.id, 300.0, NOW + 400)) is None
    again = ask(Shorten(made.id, 60.0, NOW + 900))
    assert again == shorter
    moved = ask(advance(made, head=Head(1, hashed(1), None, NOW + 30), expected_binding=binding, binding=binding))
    assert moved.expires_at == NOW + 90
    assert ask(Shorten("00" * 16, 60.0, NOW)) is None
    ask(Revoke(made.id, NOW + 31, "ended", "owner"))
    assert ask(Shorten(made.id, 10.0, NOW + 20)) is None


@pytest.mark.parametrize("of_before", [True, False])
def test_a_session_of_before_is_shortened_as_well(ask: Ask, of_before: bool) -> None:
    made = create(ask, idle_ttl=None if of_before else 1000.0)
    assert ask(Shorten(made.id, 60.0, NOW + 500)).idle_ttl == 60.0


@pytest.mark.parametrize("binding", [None, "dpop:key"])
def test_a_later_authentication_is_kept(ask: Ask, binding: str | None) -> None:
    first = Authentication(NOW, "loa1", ("pwd",))
    made = create(ask, authentication=first, idle_ttl=1000.0, binding=binding, claims={"a": [], "b": {}, "c": "["})
    assert ask(Get(made.id)).authentication == first
    later = Authentication(NOW + 7.5, "phr", ("pwd", "hwk"))
    changed = ask(Reauthenticate(made.id, later))
    assert changed == replace(made, authentication=later)
    assert ask(Get(made.id)) == changed
    moved = ask(advance(made, head=Head(1, hashed(1), None, NOW + 8), expected_binding=binding, binding=binding))
    assert moved.authentication == later
    assert moved.claims == made.claims
    assert ask(Reauthenticate(made.id, Authentication(NOW + 9))).authentication == Authentication(NOW + 9)
    assert ask(Reauthenticate("00" * 16, later)) is None
    assert ask(Reauthenticate(made.id, Authentication(NOW + 10**9))) is None
    ended = ask(Revoke(made.id, NOW + 10, "ended", "owner"))
    assert ended.authentication == Authentication(NOW + 9)
    assert ask(Reauthenticate(made.id, Authentication(NOW + 11))) is None


def test_what_else_a_session_has_is_taken_along(ask: Ask) -> None:
    whole = session(lifetime="kiosk", idle_ttl=50.0, authentication=Authentication(NOW + 1.25, None, ("otp",)))
    assert ask(Restore(whole)) is True
    assert ask(Get(whole.id)) == whole
    later = replace(
        whole, authentication=Authentication(NOW + 3), idle_ttl=40.0, head=Head(2, hashed(2), None, NOW + 6)
    )
    assert ask(Restore(later)) is True
    assert ask(Get(whole.id)) == later


def test_the_trail_says_what_a_session_was_bound_to(ask: Ask) -> None:
    kept = Audit("192.0.2.1", NOW + 900)
    for binding, bound in ((None, None), ("dpop:key", "key"), ("dbsc:key", "device")):
        made = session(subject=f"subject-{binding}", binding=binding)
        ask(Create(made, audit=kept))
        ask(Revoke(made.id, NOW + 1, "ended", "owner", kept))
        assert [entry.bound for entry in ask(ListAudit(made.subject, NOW + 1))] == [bound, bound]
