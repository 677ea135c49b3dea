"""DESIGN's three properties, by walking every interleaving of the pure functions, ten steps deep.

The world is a store that keeps heads, an honest holder, and perhaps a thief. At each step somebody presents a token,
its answer arrives or is lost, time passes or does not, the store may lose its newest writes. Worlds that differ only
in the names of their nonces are one world, so that the walk is exhaustive and still ends.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from tenure.core.family import Head, Verdict, judge
from tenure.core.tokens import RefreshToken, first_token
from tenure.core.tokens import nonce_hash as real_nonce_hash

DEPTH = 10
LEEWAY = 30.0
SID = b"s" * 16
nonce_hash = cache(real_nonce_hash)

# Each walks through millions of steps of a few lines, which other tests cover.
pytestmark = pytest.mark.no_cover


def nonce(number: int) -> bytes:
    return number.to_bytes(16, "big")


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Holder:
    """What somebody has: tokens, the newest last, and the attempt key of a refresh that was not answered yet.

    Each token goes with its depth: how many refreshes, one with the token of the other, it took to get it.
    """

    tokens: tuple[tuple[RefreshToken, int], ...]
    attempt: bytes | None = None

    @property
    def completed(self) -> int:
        """How many refreshes in a row this holder has completed. (The same one twice is not two.)"""
        return max(depth for _, depth in self.tokens)

    def forgetting_depths(self) -> "Holder":
        return replace(self, tokens=tuple((token, 0) for token, _ in self.tokens))


@dataclass(frozen=True, slots=True)
class World:
    heads: tuple[Head, ...]
    """Every write the store has made and not lost."""
    holders: tuple[Holder, ...]
    next_number: int
    now: float = 0.0
    revoked: bool = False
    kept_writes: int = 1
    """Writes since the last lost one, as far as 2: only then may one be lost again, so that it's never two in a row."""


def begin(holders: int) -> World:
    first = first_token(SID, nonce(1), nonce(2))
    root = Head(0, nonce_hash(SID, nonce(1)), None, 0.0)
    return World((root,), tuple(Holder(((first, 0),)) for _ in range(holders)), next_number=3)


def present(
    world: World,
    who: int,
    held: tuple[RefreshToken, int],
    attempt: bytes | None,
    *,
    delivered: bool,
    leeway: float,
    tag: bool,
) -> tuple[Verdict | None, World]:
    """One refresh: the verdict (None where the family was ended before), and the world after it."""
    token, depth = held
    if world.revoked:
        return None, world
    verdict = judge(world.heads[-1], token, attempt, world.now, leeway, believe_tag=tag)
    if verdict is Verdict.REUSE:
        return verdict, replace(world, revoked=True)
    if verdict is Verdict.REFUSE:
        return verdict, world
    if verdict is not Verdict.RETRY:
        head = Head(token.generation, nonce_hash(SID, token.nonce), attempt, world.now)
        world = replace(world, heads=(*world.heads, head), kept_writes=min(2, world.kept_writes + 1))
    holder = world.holders[who]
    if delivered:
        child = token.child(nonce(world.next_number))
        holder = Holder((*holder.tokens, (child, depth + 1)))
        world = replace(world, next_number=world.next_number + 1)
    else:
        holder = replace(holder, attempt=attempt)
    return verdict, replace(world, holders=(*world.holders[:who], holder, *world.holders[who + 1 :]))


def without_the_needless(world: World) -> World:
    """The world without what can't matter any more.

    Of the store's writes, those too old to come back; of the owner's tokens, all that it will not present; of the
    thief's, twins (same parent, neither ever presented) and all but one of those that are older than every head.
    """
    heads = world.heads[-3:]
    oldest = min(head.generation for head in heads)
    holders = []
    for who, holder in enumerate(world.holders):
        kept: dict[object, tuple[RefreshToken, int]] = {}
        for token, depth in holder.tokens[-1:] if who == 0 else holder.tokens:
            hashed = nonce_hash(SID, token.nonce)
            presented = any(head.nonce_hash == hashed for head in heads)
            twin = token.nonce if presented else (token.generation, token.parent, token.grandparent)
            mark = "old" if token.generation < oldest else twin
            if mark not in kept or depth >= kept[mark][1]:
                kept[mark] = (token, depth)
        holders.append(replace(holder, tokens=tuple(kept.values())))
    return replace(world, heads=heads, holders=tuple(holders))


def canonical(world: World) -> object:
    """The world with nonces and attempt keys numbered in the order in which they are met, and time as a distance."""
    names: dict[bytes, int] = {bytes(16): 0}

    def name(value: bytes | None) -> int | None:
        return None if value is None else names.setdefault(value, len(names))

    tokens = [
        tuple((t.generation, name(t.grandparent), name(t.parent), name(t.nonce), depth) for t, depth in holder.tokens)
        for holder in world.holders
    ]
    shown = {nonce_hash(SID, value): number for value, number in names.items() if len(value) == 16}
    return (
        tuple((h.generation, shown.get(h.nonce_hash, -1), name(h.attempt_hash)) for h in world.heads),
        world.now - world.heads[-1].rotated_at <= LEEWAY,
        tuple(tokens),
        tuple(name(holder.attempt) for holder in world.holders),
        world.revoked,
        world.kept_writes,
    )


def walk(start: World, steps: Callable[[World], Iterator[World]], *, keep_all: bool = False) -> int:
    """Visit every world that can be reached in DEPTH steps, once; answers how many there are."""
    seen = {canonical(start)}
    frontier = [start]
    for _ in range(DEPTH):
        reached = []
        for world in frontier:
            for following in steps(world):
                following = following if keep_all else without_the_needless(following)
                mark = canonical(following)
                if mark not in seen:
                    seen.add(mark)
                    reached.append(following)
        frontier = reached
    return len(seen)


def honest_refresh(world: World, *, delivered: bool, leeway: float, tag: bool) -> tuple[Verdict | None, World]:
    """The honest holder presents its newest token, with the attempt key that it keeps until an answer arrives."""
    holder = world.holders[0]
    if holder.attempt is None:
        holder = replace(holder, attempt=key(world.next_number))
        world = replace(world, holders=(holder, *world.holders[1:]), next_number=world.next_number + 1)
    return present(world, 0, holder.tokens[-1], holder.attempt, delivered=delivered, leeway=leeway, tag=tag)


def lost_writes(world: World, *, suffix: bool) -> Iterator[World]:
    """The worlds in which the store has lost its newest write, or any suffix of its writes."""
    most = len(world.heads) - 1 if suffix else int(world.kept_writes == 2)
    for lost in range(1, most + 1):
        yield replace(world, heads=world.heads[:-lost], kept_writes=0)


def honest_steps(world: World, *, losing: bool, tag: bool) -> Iterator[World]:
    world = replace(world, now=world.now + 1)
    for delivered in (True, False):
        verdict, following = honest_refresh(world, delivered=delivered, leeway=0.0, tag=tag)
        assert verdict in (Verdict.ROTATE, Verdict.RETRY, Verdict.ROLLBACK), f"an honest client got {verdict}"
        yield following
    if losing:
        yield from lost_writes(world, suffix=tag)


def test_1_an_honest_client_that_loses_responses_is_never_logged_out() -> None:
    assert walk(begin(1), lambda world: honest_steps(world, losing=False, tag=False)) > DEPTH


def test_2_nor_when_the_store_loses_the_newest_write() -> None:
    assert walk(begin(1), lambda world: honest_steps(world, losing=True, tag=False)) > 10 * DEPTH


def test_2_nor_when_it_loses_any_suffix_and_the_tag_is_believed() -> None:
    assert walk(begin(1), lambda world: honest_steps(world, losing=True, tag=True), keep_all=True) > 10 * DEPTH


def thief_steps(world: World, *, knows_key: bool, losing: bool) -> Iterator[World]:
    """Any holder's next move. The thief (1) may present any token it ever had, with any key that it knows."""
    if world.revoked:
        return
    owner, thief = world.holders
    stolen_key = [owner.attempt] if knows_key and owner.attempt is not None else []
    for passed in (1.0, LEEWAY + 1.0):
        later = replace(world, now=world.now + passed)
        for delivered in (True, False):
            moves = [(0, honest_refresh(later, delivered=delivered, leeway=LEEWAY, tag=False))]
            for token in thief.tokens:
                for attempt in [None, key(world.next_number), *stolen_key]:
                    made = replace(later, next_number=later.next_number + 1)
                    moves.append((1, present(made, 1, token, attempt, delivered=delivered, leeway=LEEWAY, tag=False)))
            for who, (verdict, following) in moves:
                if world.holders[1 - who].completed >= 2:
                    assert verdict in (Verdict.REUSE, Verdict.REFUSE), f"{who} got {verdict} after the other's second"
                    assert verdict is Verdict.REUSE or losing
                assert min(holder.completed for holder in following.holders) < 2, "both completed two refreshes"
                yield following
    if losing:
        for after in lost_writes(world, suffix=False):
            # A store that forgets a refresh gives each holder one more; the property holds from there on.
            yield replace(after, holders=tuple(holder.forgetting_depths() for holder in after.holders))


def test_3_of_two_holders_at_most_one_completes_two_refreshes() -> None:
    assert walk(begin(2), lambda world: thief_steps(world, knows_key=False, losing=False)) > 100 * DEPTH


def test_3_also_when_the_thief_has_the_attempt_key() -> None:
    assert walk(begin(2), lambda world: thief_steps(world, knows_key=True, losing=False)) > 100 * DEPTH


def test_3_also_after_the_store_has_lost_a_write() -> None:
    assert walk(begin(2), lambda world: thief_steps(world, knows_key=True, losing=True)) > 100 * DEPTH
