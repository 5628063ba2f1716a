"""A lease is believed by its family alone, while it is the last entry; others wait it out."""

import itertools
import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from memapp.chroma import change_log, kept_user, leases, user_cache
from memapp.chroma import memory_layout as layout
from memapp.chroma.cache_budget import Budget
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.leases import BACK_OFF, OVERTAKEN, QUIET, FamilyLease, OthersLeases, take_lease
from memapp.chroma.memories import ChromaMemories
from memapp.chroma.memory_views import KeptView
from memapp.chroma.roster import KEPT, Entry, Role, make_entry, read_roster
from memapp.chroma.write_marks import WriteMarks
from memapp.embedders.hashing import HashEmbedder
from memapp.records import MemoryDraft, MemoryScope
from tests.chroma.conftest import Connect
from tests.chroma.memory_stores import open_memories

OURS, THEIRS = "ours", "theirs"
EMBEDDER = HashEmbedder()
VECTOR = EMBEDDER.embed_documents(["tea"])[0]
ANN = MemoryScope("ann")

names = itertools.count()


def entry(role: Role, family: str = OURS) -> Entry:
    return Entry(f"entry {next(names)}", family, role)


SHARD = "the shard's identity"


def roster(*entries: Entry, first: int = 1) -> dict[int, Entry]:
    return dict(enumerate(entries, first))


def holds(lease: FamilyLease, number: int) -> bool:
    """Tell whether an entry is believed to be our lease once it was seen to be the last one."""
    lease.note(number, math.inf)
    return lease.is_believed(number)


class Clock:
    """The monotonic clock, which stands still; what sleeps moves it on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    standing = Clock()
    monkeypatch.setattr(leases, "time", standing)
    return standing


def is_due_after(lease: FamilyLease, clock: Clock, seconds: float) -> bool:
    clock.now += seconds * 0.99
    is_early = lease.is_due()
    clock.now += seconds * 0.02
    return lease.is_due() and not is_early


def test_the_last_entry_is_believed_if_it_is_our_lease() -> None:
    lease = FamilyLease(OURS)
    lease.learn(roster(entry("writer"), entry("lease")), SHARD)
    assert holds(lease, 2)
    assert not holds(lease, 1)


@pytest.mark.parametrize(
    "last",
    [
        entry("writer"),
        entry("end"),
        entry("end", THEIRS),
        entry("lease", THEIRS),
        entry("writer", ""),
    ],
)
def test_a_lease_with_an_entry_behind_it_is_not_believed(last: Entry) -> None:
    lease = FamilyLease(OURS)
    first = entry("lease")
    lease.learn(roster(first), SHARD)
    lease.learn(roster(first, last), SHARD)
    assert not holds(lease, 1)
    assert not holds(lease, 2)


def test_a_lease_is_believed_for_a_moment_after_it_was_seen(clock: Clock) -> None:
    lease = FamilyLease(OURS)
    lease.learn(roster(entry("lease")), SHARD)
    assert not lease.is_believed(1)
    seen_at = clock.now
    lease.note(1, seen_at)
    lease.note(1, seen_at - 1)  # By a check that took longer.
    clock.now += leases.LEASE * 0.99
    assert lease.is_believed(1)
    clock.now += leases.LEASE * 0.02
    assert not lease.is_believed(1)


def test_a_new_lease_is_believed_only_once_it_was_seen_itself(clock: Clock) -> None:
    lease = FamilyLease(OURS)
    first, second = entry("lease"), entry("lease")
    lease.learn(roster(first), SHARD)
    lease.note(1, clock.now)
    lease.learn(roster(first, second), SHARD)
    lease.note(1, clock.now)
    assert not lease.is_believed(2)


def test_an_older_roster_that_is_learnt_late_changes_nothing() -> None:
    lease = FamilyLease(OURS)
    first, second = entry("lease"), entry("writer")
    lease.learn(roster(first, second), SHARD)
    lease.learn(roster(first), SHARD)
    assert not holds(lease, 1)


def test_the_roster_of_another_collection_of_that_name_is_another_one() -> None:
    lease = FamilyLease(OURS)
    lease.learn(roster(entry("lease")), "old")
    lease.learn(roster(entry("writer", THEIRS)), "new")
    assert not holds(lease, 1)


def test_who_has_no_family_takes_no_lease_and_believes_none(clock: Clock) -> None:
    lease = FamilyLease("")
    lease.learn(roster(entry("lease", "")), SHARD)
    clock.now += 1e6
    assert not holds(lease, 1)
    assert not lease.is_due()


def test_where_nothing_is_known_no_lease_is_taken(clock: Clock) -> None:
    lease = FamilyLease(OURS)
    lease.learn({}, SHARD)
    clock.now += 1e6
    assert not lease.is_due()


def test_a_lease_is_taken_when_no_further_writer_has_come_for_a_while(clock: Clock) -> None:
    lease = FamilyLease(OURS)
    lease.learn(roster(entry("writer", THEIRS), entry("writer")), SHARD)
    assert is_due_after(lease, clock, QUIET)


def test_the_lease_of_others_is_overtaken_when_they_may_be_gone(clock: Clock) -> None:
    lease = FamilyLease(OURS)
    lease.learn(roster(entry("lease", THEIRS)), SHARD)
    assert is_due_after(lease, clock, OVERTAKEN)


@pytest.mark.parametrize(
    "last", [entry("end", THEIRS), entry("lease", THEIRS), entry("writer", THEIRS), entry("end")]
)
def test_where_others_write_no_lease_is_taken_for_long(clock: Clock, last: Entry) -> None:
    lease = FamilyLease(OURS)
    first = entry("lease")
    lease.learn(roster(first), SHARD)
    lease.learn(roster(first, last), SHARD)
    clock.now += 1
    lease.learn(roster(first, last, entry("writer")), SHARD)
    assert is_due_after(lease, clock, BACK_OFF - 1)


def test_one_thread_at_a_time_takes_a_lease(clock: Clock) -> None:
    lease = FamilyLease(OURS)
    lease.learn(roster(entry("writer")), SHARD)
    clock.now += QUIET
    assert [lease.is_due() for _ in range(3)] == [True, False, False]


@pytest.fixture
def shard(connection: Connection) -> Collection:
    return connection.ensure("shard", {"holds": "anything"})


def writing(shard: Collection) -> Any:
    def write(one: str, fields: Mapping[str, Any]) -> None:
        shard.add([one], VECTOR[None], [fields], [""])

    return write


def respect(others: OthersLeases, shard: Collection, family: str = OURS) -> None:
    others.respect(shard, read_roster(shard), entry("end", family), writing(shard))


def knows_end(others: OthersLeases, shard: Collection) -> bool:
    found = shard.get(ids=others.ids_at_end, include=("metadatas",))
    return others.is_end_known(dict(zip(found.ids, found.metadatas, strict=True)))


def put(shard: Collection, *entries: Entry) -> None:
    for one in entries:
        assert make_entry(shard, one, writing(shard)) is not None


def test_a_lease_of_others_is_ended_and_waited_out_once(shard: Collection, clock: Clock) -> None:
    others = OthersLeases(OURS)
    put(shard, entry("lease", THEIRS))
    respect(others, shard)
    assert read_roster(shard)[2].role == "end"
    assert clock.slept == [leases.WAITED]

    respect(others, shard)
    assert knows_end(others, shard)
    assert max(read_roster(shard)) == 2
    assert clock.slept == [leases.WAITED]


def test_a_lease_of_others_that_has_ended_already_is_waited_out_too(
    shard: Collection, clock: Clock
) -> None:
    put(shard, entry("lease", THEIRS), entry("writer", THEIRS))
    respect(OthersLeases(OURS), shard)
    assert max(read_roster(shard)) == 2
    assert clock.slept == [leases.WAITED]


def test_a_lease_that_is_taken_while_another_is_ended_is_waited_out_at_the_next_write(
    shard: Collection, clock: Clock
) -> None:
    others = OthersLeases(OURS)
    put(shard, entry("lease", THEIRS))
    before = read_roster(shard)
    put(shard, entry("lease", THEIRS))
    others.respect(shard, before, entry("end"), writing(shard))
    assert not knows_end(others, shard)

    respect(others, shard)
    assert clock.slept == [leases.WAITED] * 2


def test_our_own_lease_holds_us_up_no_longer_than_any_writer(
    shard: Collection, clock: Clock
) -> None:
    put(shard, entry("writer"), entry("lease"))
    respect(OthersLeases(OURS), shard)
    assert max(read_roster(shard)) == 2
    assert clock.slept == []


def test_entries_that_nobody_knows_any_more_are_waited_out_as_leases(
    shard: Collection, clock: Clock
) -> None:
    others = OthersLeases(OURS)
    put(shard, entry("writer"))
    respect(others, shard)
    assert clock.slept == []
    put(shard, *(entry("writer") for _ in range(KEPT + 1)))
    for one in (others, OthersLeases(OURS)):
        clock.slept.clear()
        respect(one, shard)
        assert clock.slept == [leases.WAITED]
        respect(one, shard)
        assert clock.slept == [leases.WAITED]


def test_an_entry_in_the_place_of_the_one_that_was_known_is_waited_out(
    connection: Connection, clock: Clock
) -> None:
    others = OthersLeases(OURS)
    old = connection.ensure("shard", {"holds": "anything"})
    put(old, entry("lease", THEIRS), entry("writer", THEIRS))
    respect(others, old)
    connection.drop("shard")
    new = connection.ensure("shard", {"holds": "anything"})
    put(new, entry("lease", THEIRS), entry("writer", THEIRS))
    assert not knows_end(others, new)

    clock.slept.clear()
    respect(others, new)
    assert clock.slept == [leases.WAITED]


def test_where_nobody_can_have_a_lease_no_write_looks_for_one(
    connection: Connection, clock: Clock
) -> None:
    stores = [open_memories(connection, EMBEDDER.identity) for _ in range(KEPT + 2)]
    for number, store in enumerate(stores):
        add(store, f"tea {number}")
    stores[0].forget("acme", "ann", dry_run=False)
    assert clock.slept == []


def test_a_family_that_has_the_lease_takes_no_second_one(shard: Collection) -> None:
    put(shard, entry("writer"))
    for _ in range(2):
        taken = take_lease(shard, entry("lease"), writing(shard))
        assert max(taken) == 2
        assert taken[2].role == "lease"


class Families:
    """Opens stores as if each were a process of some family."""

    def __init__(self, connect: Connect, folder: str) -> None:
        self._connect = connect
        self._folder = folder
        self._started: list[ChromaMemories] = []

    def start(self, family: str, company: str = "") -> ChromaMemories:
        store = open_memories(
            self._connect(),
            EMBEDDER.identity,
            cache=Budget(10_000_000, loads_at=1),
            marks=self.marks(family) if family else None,
            family=family,
            company=company,
        )
        self._started.append(store)
        return store

    def stop(self) -> None:
        for store in self._started:
            store._errands.close()

    def marks(self, family: str) -> WriteMarks:
        """Open the counts that a family shares."""
        return WriteMarks.of_host(f"{self._folder} {family}")


@pytest.fixture
def families(
    connect: Connect, chroma_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Families]:
    for pause in ("QUIET", "OVERTAKEN", "BACK_OFF"):
        monkeypatch.setattr(leases, pause, 0.0)
    started = Families(connect, chroma_database)
    yield started
    started.stop()


@pytest.fixture
def together(families: Families) -> Callable[[], ChromaMemories]:
    """Start processes of one family, one of which writes for all."""
    return partial(families.start, "first", secrets.token_hex(8))


def add(store: ChromaMemories, text: str, user: str = "ann") -> str:
    return store.add("acme", [MemoryDraft(user, text)], VECTOR[None])[0].memory.id


def texts(store: ChromaMemories, user: str = "ann") -> set[str]:
    view = store.view("acme", MemoryScope(user))
    assert isinstance(view, KeptView)
    return {memory.text for memory in view.scan(None)}


def shard_name(store: ChromaMemories) -> str:
    (name,) = store._caches
    return name


def leased(store: ChromaMemories, monkeypatch: pytest.MonkeyPatch, user: str = "ann") -> list[str]:
    """Search until the store believes what it knows; return the reads it makes from then on."""
    deadline = time.monotonic() + 10
    reads: list[str] = []
    get = Collection.get

    def get_and_note(collection: Collection, **asked: Any) -> Any:
        reads.append(collection.name)
        return get(collection, **asked)

    monkeypatch.setattr(Collection, "get", get_and_note)
    while True:
        reads.clear()
        texts(store, user)
        if not reads:
            return reads
        assert time.monotonic() < deadline


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock on."""
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + sum(passed))
    return passed.append


def leased_for(
    users: Sequence[str], families: Families, monkeypatch: pytest.MonkeyPatch
) -> tuple[ChromaMemories, list[str]]:
    """Start a store that believes what it knows of some users; return it, and what it reads."""
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    store = families.start("first")
    for user in users:
        add(store, "tea", user)
    for user in [*users, *users]:
        reads = leased(store, monkeypatch, user)
    return store, reads


@pytest.mark.parametrize("limit", [leases, user_cache])
@pytest.mark.parametrize("passed_and_looks", [(9.0, 0), (10.0, 1)])
def test_what_was_seen_is_believed_under_a_lease_until_it_or_the_look_is_too_old(
    families: Families,
    monkeypatch: pytest.MonkeyPatch,
    later: Callable[[float], None],
    limit: ModuleType,
    passed_and_looks: tuple[float, int],
) -> None:
    monkeypatch.setattr(leases, "LEASE", 10.0 if limit is leases else math.inf)
    monkeypatch.setattr(user_cache, "LEASED_SECONDS", 10.0 if limit is user_cache else math.inf)
    store = families.start("first")
    add(store, "tea")
    reads = leased(store, monkeypatch)
    passed, looks = passed_and_looks
    later(passed)

    assert texts(store) == {"tea"}
    assert reads == [layout.shard_name("acme", 0)] * looks


def test_that_the_lease_is_the_last_entry_is_seen_for_all_users_of_a_shard(
    families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, reads = leased_for(["ann", "bob"], families, monkeypatch)
    (cache,) = store._caches.values()
    cache._lease._known = replace(cache._lease._known, seen_at=-math.inf)

    assert texts(store, "bob") == {"tea"}
    assert len(reads) == 1
    assert texts(store, "ann") == {"tea"}
    assert len(reads) == 1


def test_a_look_at_one_user_does_for_others_whose_last_is_long_ago(
    families: Families, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    users = ["ann", "bob", "cyd"]
    store, reads = leased_for(users, families, monkeypatch)
    later(user_cache.LEASED_SECONDS)

    for user in users:
        assert texts(store, user) == {"tea"}
    assert len(reads) == 1


def test_a_look_at_one_user_does_not_do_for_others_who_are_to_be_read_anew(
    families: Families, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    store, reads = leased_for(["ann", "bob"], families, monkeypatch)
    (cache,) = store._caches.values()
    cache._users["ann"].loaded_at -= kept_user.MAX_AGE
    later(user_cache.LEASED_SECONDS)

    assert texts(store, "bob") == {"tea"}
    assert len(reads) == 1
    assert texts(store) == {"tea"}
    assert len(reads) > 1


@pytest.mark.parametrize("action", ["add", "delete", "revise", "forget"])
def test_a_look_at_one_user_does_not_do_for_others_who_have_changed(
    families: Families,
    monkeypatch: pytest.MonkeyPatch,
    later: Callable[[float], None],
    action: str,
) -> None:
    """Even by somebody who keeps to no lease, as an older build may."""
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    monkeypatch.setattr(leases.OthersLeases, "respect", lambda *_: None)
    reader, writer = families.start("first"), families.start("")
    add(writer, "tea")
    second = add(writer, "milk")
    add(writer, "bread", "bob")
    for user in ("ann", "bob", "ann"):
        leased(reader, monkeypatch, user)
    expected = change(writer, second, action)
    later(user_cache.LEASED_SECONDS)

    assert texts(reader, "bob") == {"bread"}
    assert {memory.text for memory in reader.view("acme", ANN).scan(None)} == expected


def test_who_shares_the_counts_sees_at_once_what_its_family_writes(
    families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    reader, writer = families.start("first"), families.start("first")
    first = add(writer, "tea")
    leased(reader, monkeypatch)
    add(writer, "coffee")
    assert texts(reader) == {"tea", "coffee"}

    leased(reader, monkeypatch)
    writer.delete("acme", first)
    assert texts(reader) == {"coffee"}

    leased(reader, monkeypatch)
    writer.forget("acme", "ann", dry_run=False)
    assert reader.view("acme", ANN).scan(None) == []


def test_what_is_written_for_a_family_costs_those_who_keep_it_no_read(
    together: Callable[[], ChromaMemories], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    monkeypatch.setattr("memapp.chroma.memories.INQUIRY_PATIENCE", 10.0)
    writer, reader = together(), together()
    add(writer, "tea")
    reads = leased(reader, monkeypatch)
    for number in range(change_log.KEPT + change_log.TRIMMED):
        add((writer, reader)[number % 2], f"cup {number}")
    reads.clear()

    assert len(texts(reader)) == 1 + change_log.KEPT + change_log.TRIMMED

    assert reads == []


def test_what_others_of_a_family_write_past_the_one_who_writes_for_it_is_read(
    families: Families,
    together: Callable[[], ChromaMemories],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    writer, reader = together(), together()
    alone = families.start("first")
    tea = add(writer, "tea")
    leased(reader, monkeypatch)

    add(writer, "milk")
    add(alone, "coffee")
    add(writer, "cocoa")
    assert texts(reader) == {"tea", "milk", "coffee", "cocoa"}
    leased(reader, monkeypatch)
    add(writer, "water")
    alone.delete("acme", tea)
    assert texts(reader) == {"milk", "coffee", "cocoa", "water"}


def test_who_is_followed_in_the_log_is_believed_only_afterwards(
    families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    writer, reader = families.start("first"), families.start("first")
    tea = add(writer, "tea")
    add(writer, "milk")
    leased(reader, monkeypatch)
    cache, key = reader._caches[shard_name(reader)], (shard_name(reader), "ann")
    user, follow, seen = cache._users["ann"], cache._follow, []

    def follow_and_ask(*arguments: Any) -> Any:
        changed = follow(*arguments)
        seen.append(cache._is_believed(user))
        return changed

    monkeypatch.setattr(cache, "_follow", follow_and_ask)
    writer.delete("acme", tea)

    assert texts(reader) == {"milk"}
    assert seen == [False]
    assert cache._is_unchanged(key, user)


@pytest.fixture
def midway(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], None]], None]:
    """Let something happen after Chroma has made a write, and before anybody knows of it."""

    def happens(write: str, what: Callable[[], None]) -> None:
        made = getattr(Collection, write)

        def make(collection: Collection, *asked: Any, **conditions: Any) -> None:
            made(collection, *asked, **conditions)
            if collection.name == layout.shard_name("acme", 0):
                monkeypatch.setattr(Collection, write, made)
                what()

        monkeypatch.setattr(Collection, write, make)

    return happens


def test_while_a_write_is_under_way_that_nobody_has_seen_chroma_is_not_asked(
    families: Families,
    together: Callable[[], ChromaMemories],
    monkeypatch: pytest.MonkeyPatch,
    midway: Callable[[str, Callable[[], None]], None],
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    monkeypatch.setattr("memapp.chroma.memories.INQUIRY_PATIENCE", 10.0)
    writer, reader = together(), together()
    alone = families.start("first")
    add(writer, "tea")
    add(alone, "cocoa")
    leased(reader, monkeypatch)
    add(writer, "milk")
    reads = leased(reader, monkeypatch)
    add(writer, "bread")
    seen: list[set[str]] = []

    def look() -> None:
        reads.clear()
        seen.append(texts(reader))
        assert reads == []

    midway("add", look)
    add(alone, "coffee")

    assert seen[0] == {"tea", "milk", "cocoa", "bread"}
    assert texts(reader) == {"tea", "milk", "cocoa", "bread", "coffee"}


def test_a_look_at_the_lease_alone_shows_nothing_that_is_under_way(
    families: Families,
    monkeypatch: pytest.MonkeyPatch,
    midway: Callable[[str, Callable[[], None]], None],
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    reader, writer, other = (families.start("first") for _ in range(3))
    add(writer, "tea")
    leased(other, monkeypatch)
    reads = leased(reader, monkeypatch)
    lease = reader._caches[shard_name(reader)]._lease
    seen: list[set[str]] = []

    def look() -> None:
        lease._known = replace(lease._known, seen_at=-math.inf)
        for store, looks in ((reader, 1), (reader, 0), (other, 0)):
            reads.clear()
            seen.append(texts(store))
            assert len(reads) == looks

    midway("add", look)
    add(writer, "coffee")

    assert seen == [{"tea"}] * 3


def known_to_nobody(store: ChromaMemories) -> None:
    """Let a store read from Chroma whatever it is asked for."""
    store._cache = Budget(0)
    store._caches.clear()


SHOWING: list[Callable[[ChromaMemories, str], Any]] = [
    lambda store, one: store.get("acme", one),
    lambda store, _: store.view("acme", ANN).scan(None),
    lambda store, _: store.view("acme", ANN).nearest(VECTOR, 2, None),
    lambda store, _: store.view("acme", ANN).nearest(VECTOR, 9, None),
    lambda store, _: store.view("acme", ANN).containing(["coffee"], VECTOR, 9, condition=None),
    lambda store, _: store.forget("acme", "ann", dry_run=True),
]


@pytest.mark.parametrize("show", SHOWING)
def test_what_was_read_in_chroma_before_it_was_acknowledged_is_seen_by_all_from_then_on(
    families: Families,
    monkeypatch: pytest.MonkeyPatch,
    midway: Callable[[str, Callable[[], None]], None],
    show: Callable[[ChromaMemories, str], Any],
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    reader, writer, other = (families.start("first") for _ in range(3))
    add(writer, "tea")
    coffee = add(writer, "coffee")
    writer.delete("acme", coffee)
    leased(reader, monkeypatch)
    known_to_nobody(other)
    seen: list[set[str]] = []

    def look() -> None:
        seen.append(texts(reader))
        assert show(other, coffee)
        seen.append(texts(reader))

    midway("add", look)
    add(writer, "coffee")

    assert seen == [{"tea"}, {"tea", "coffee"}]


@pytest.mark.parametrize("prepare", ["kept", "kept and behind", "changed", "unknown"])
def test_what_one_has_taken_into_its_copy_before_it_was_acknowledged_is_seen_by_all(
    families: Families,
    monkeypatch: pytest.MonkeyPatch,
    midway: Callable[[str, Callable[[], None]], None],
    prepare: str,
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    reader, writer, other = (families.start("first") for _ in range(3))
    add(writer, "tea")
    milk = add(writer, "milk")
    leased(reader, monkeypatch)
    if prepare != "unknown":
        leased(other, monkeypatch)
    if prepare == "changed":
        change(writer, milk, "revise")
        texts(reader)
    if prepare == "kept and behind":
        add(writer, "bread")
        texts(reader)
    before = texts(reader)
    seen: list[set[str]] = []

    def look() -> None:
        for cache in other._caches.values():
            for user in cache._users.values():
                user.checked_at = -math.inf
        assert texts(reader) == before
        seen.extend([texts(other), texts(reader)])

    midway("add", look)
    add(writer, "coffee")

    assert seen == [before | {"coffee"}] * 2


@pytest.mark.parametrize(("action", "left"), [("delete", {"tea"}), ("forget", set())])
def test_a_memory_that_is_gone_for_one_before_its_deletion_is_acknowledged_is_gone_for_all(
    families: Families,
    monkeypatch: pytest.MonkeyPatch,
    midway: Callable[[str, Callable[[], None]], None],
    action: str,
    left: set[str],
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    reader, writer, other = (families.start("first") for _ in range(3))
    add(writer, "tea")
    milk = add(writer, "milk")
    leased(reader, monkeypatch)
    seen: list[set[str]] = []

    def look() -> None:
        assert other.get("acme", milk) is None
        seen.append({memory.text for memory in reader.view("acme", ANN).scan(None)})

    midway("delete", look)
    change(writer, milk, action)

    assert seen == [left]


def change(writer: ChromaMemories, milk: str, action: str) -> set[str]:
    """Change Ann's memories, which are tea and milk; return what they are then."""
    match action:
        case "add":
            add(writer, "coffee")
            return {"tea", "milk", "coffee"}
        case "delete":
            writer.delete("acme", milk)
            return {"tea"}
        case "revise":
            current = writer.get("acme", milk)
            assert current is not None
            revised = replace(current, text="cream", version=2)
            assert writer.revise("acme", current, revised, VECTOR)
            return {"tea", "cream"}
        case _:
            writer.forget("acme", "ann", dry_run=False)
            return set()


def test_a_memory_by_id_is_read_from_chroma_only_if_its_user_may_have_changed(
    families: Families, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    reader, writer = families.start("first"), families.start("first")
    tea, milk = add(writer, "tea"), add(writer, "milk")
    reads = leased(reader, monkeypatch)

    first = reader.get("acme", tea)
    assert reads == []
    assert first == writer.get("acme", tea)
    assert reader.get("acme", add(writer, "bread", "bob")) is not None

    for action in ("revise", "delete"):
        change(writer, milk, action)
        reads.clear()
        assert reader.get("acme", milk) == writer.get("acme", milk)
        assert reads == [layout.shard_name("acme", 0)] * 2
        reads = leased(reader, monkeypatch)

    later(user_cache.LEASED_SECONDS)
    assert reader.get("acme", tea) == first
    assert len(reads) == 1

    later(kept_user.MAX_AGE)
    assert reader.get("acme", tea) == first
    assert len(reads) == 2


def test_among_too_many_kept_users_nobody_looks_for_a_memory_by_id(
    families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    store = families.start("first")
    tea = add(store, "tea")
    reads = leased(store, monkeypatch)
    monkeypatch.setattr(user_cache, "LOOKED_THROUGH", 0)

    assert store.get("acme", tea) is not None
    assert len(reads) == 1


def test_who_was_seen_to_have_changed_beside_another_is_not_believed(
    families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stranger may have died before it could end the lease, and others may have seen it."""
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    monkeypatch.setattr(leases.OthersLeases, "respect", lambda *_: None)
    reader, writer = families.start("first"), families.start("")
    add(writer, "tea")
    add(writer, "bread", "bob")
    for user in ("ann", "bob", "ann"):
        leased(reader, monkeypatch, user)
    add(writer, "milk")
    (cache,) = reader._caches.values()
    cache._lease._known = replace(cache._lease._known, seen_at=-math.inf)
    monkeypatch.setattr(user_cache.ShardCache, "_needs_check", lambda *_: True)

    assert texts(reader, "bob") == {"bread"}
    assert texts(reader) == {"tea", "milk"}


@pytest.mark.parametrize("stranger", ["second", ""])
@pytest.mark.parametrize("action", ["add", "delete", "revise", "forget"])
def test_what_others_do_is_not_acknowledged_before_it_is_seen(
    families: Families, monkeypatch: pytest.MonkeyPatch, stranger: str, action: str
) -> None:
    """However long a check is believed: what is waited here is as long, and moves the clock on."""
    reader, writer = families.start("first"), families.start(stranger)
    add(writer, "tea")
    second = add(writer, "milk")
    leased(reader, monkeypatch)
    monkeypatch.setattr("memapp.chroma.leases.LEASE", 2.0)
    waited: list[float] = []
    monkeypatch.setattr(leases, "WAITED", 2.2)
    monkeypatch.setattr(time, "sleep", waited.append)
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + sum(waited))
    expected = change(writer, second, action)

    assert {memory.text for memory in reader.view("acme", ANN).scan(None)} == expected
    assert waited == [2.2]


def test_what_is_announced_is_looked_at_each_time_until_it_is_done(
    families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.leases.LEASE", math.inf)
    reader, writer = families.start("first"), families.start("")
    tea = add(writer, "tea")
    add(writer, "milk")
    add(writer, "bread", "bob")
    delete = Collection.delete

    def delete_late(collection: Collection, ids: Any, **conditions: Any) -> None:
        if tea in ids:
            # A lease that is taken now has not seen the deletion, and nobody waits for it.
            leased(reader, monkeypatch, "bob")
            for _ in range(3):
                assert texts(reader) == {"tea", "milk"}
        delete(collection, ids, **conditions)

    monkeypatch.setattr(Collection, "delete", delete_late)
    writer.delete("acme", tea)

    assert texts(reader) == {"milk"}


def test_many_entries_take_no_ones_lease_for_granted(shard: Collection, clock: Clock) -> None:
    lease, others = FamilyLease(OURS), OthersLeases(THEIRS)
    for _ in range(KEPT * 2):
        lease.learn(take_lease(shard, entry("lease"), writing(shard)), SHARD)
        held = max(read_roster(shard))
        assert holds(lease, held)
        respect(others, shard, THEIRS)
        lease.learn(read_roster(shard), SHARD)
        assert not holds(lease, held)
    assert len(clock.slept) == KEPT * 2
