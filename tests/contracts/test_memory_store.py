"""What every memory store promises; run against the fake and against real Chroma."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memapp import filters
from memapp.chroma.cache_budget import Budget
from memapp.chroma.memories import ChromaMemories
from memapp.ports import MemoryStore
from memapp.records import EmbedderIdentity, Memory, MemoryDraft, MemoryScope, Vector
from tests.fakes.memory_store import FakeMemories

IDENTITY = EmbedderIdentity("test", "axes", 8, "1")
ANN = MemoryScope("ann")
START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


class SettableClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


def axis(*weights: float) -> Vector:
    """Return a unit vector of 8 dimensions with the given first components."""
    vector = np.zeros(8, dtype=np.float32)
    vector[: len(weights)] = weights
    return vector / np.float32(np.linalg.norm(vector))


def add(store: MemoryStore, text: str, vector: Vector | None = None, **fields: Any) -> Memory:
    draft = MemoryDraft(**({"user_id": "ann", "text": text} | fields))
    chosen = axis(1, len(text)) if vector is None else vector
    return store.add("acme", [draft], chosen[np.newaxis, :])[0].memory


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture(params=["fake", "persistent", "http", "http, cached"])
def store(
    request: pytest.FixtureRequest, clock: SettableClock, tmp_path: Path
) -> Iterator[MemoryStore]:
    lifetime = timedelta(hours=24)
    if request.param == "fake":
        yield FakeMemories(clock, claim_lifetime=lifetime)
        return
    connect = request.getfixturevalue("open_connection")
    mode, _, is_cached = request.param.partition(", ")
    connection = connect(mode, tmp_path)
    cache = Budget(10_000_000 if is_cached else 0, loads_at=1)
    yield ChromaMemories(
        connection, IDENTITY, clock, shards=4, claim_lifetime=lifetime, cache=cache
    )
    for name in connection.names():
        connection.drop(name)


def test_a_memory_comes_back_exactly_as_it_was_given(store: MemoryStore) -> None:
    given = MemoryDraft(
        user_id="ann",
        text="Grüße 你好 \U0001f600\n\ttabs and  spaces ",
        speaker="Ann",
        occurred_at=datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        agent_id="agent",
        session_id="s1",
        metadata={"a": 1, "b": 1.0, "c": True, "d": "x", "e": ["x", "y"], "f": [1.5, 2.5], "": "k"},
        expires_at=START + timedelta(days=1),
    )

    made = store.add("acme", [given], axis(1)[np.newaxis, :])[0]

    assert made.is_new
    found = store.get("acme", made.memory.id)
    assert found == made.memory
    assert found is not None
    assert {name: getattr(found, name) for name in ("user_id", "text", "speaker")} == {
        "user_id": "ann",
        "text": given.text,
        "speaker": "Ann",
    }
    assert found.occurred_at == given.occurred_at
    assert (found.agent_id, found.session_id) == ("agent", "s1")
    assert found.metadata == given.metadata
    assert type(found.metadata["b"]) is float
    assert found.expires_at == given.expires_at
    assert (found.created_at, found.updated_at, found.version) == (START, START, 1)


def test_the_same_text_in_the_same_scope_is_stored_once(store: MemoryStore) -> None:
    first = add(store, "I like tea", metadata={"n": 1})

    again = store.add(
        "acme", [MemoryDraft("ann", "  I  like\ntea", metadata={"n": 2})], axis(1)[np.newaxis, :]
    )[0]

    assert not again.is_new
    assert again.memory == first
    assert len(store.view("acme", ANN).scan(None)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_no_text_is_stored_once_more_while_a_memory_has_it_however_it_came_by_it(
    store: MemoryStore, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    there: dict[str, Memory] = {}
    for step in range(60):
        number = chance.randrange(3)
        text, kind = f"text {number}", chance.random()
        if not there or kind < 0.4:
            draft = MemoryDraft("ann", text)
            (stored,) = store.add("acme", [draft], axis(1, number)[np.newaxis, :])
            holders = [one for one in there.values() if one.text == text]
            assert stored.is_new == (not holders), step
            assert stored.is_new or stored.memory in holders, step
            there[stored.memory.id] = stored.memory
            continue
        memory = chance.choice(list(there.values()))
        if kind < 0.8:
            changed = replace(memory, text=text, version=memory.version + 1)
            vector = axis(1, number) if text != memory.text else None
            assert store.revise("acme", memory, changed, vector), step
            there[memory.id] = changed
        else:
            assert store.delete("acme", memory.id), step
            del there[memory.id]


@pytest.mark.parametrize("goes_by", ["deletion", "change", "sweep"])
def test_a_text_that_two_came_to_leads_to_the_other_when_the_later_one_goes(
    store: MemoryStore, clock: SettableClock, goes_by: str
) -> None:
    vector, soon = axis(1, 9), START + timedelta(seconds=5)
    stays, goes = add(store, "one"), add(store, "two", expires_at=soon)
    stays, goes = (_revised(store, memory, text="x", vector=vector) for memory in (stays, goes))

    if goes_by == "deletion":
        assert store.delete("acme", goes.id)
    elif goes_by == "change":
        _revised(store, goes, text="y", vector=axis(9, 1))
    else:
        clock.move(seconds=6)
        assert store.sweep(START + timedelta(seconds=6)) == 1

    (again,) = store.add("acme", [MemoryDraft("ann", "x")], vector[np.newaxis, :])
    assert (again.is_new, again.memory) == (False, stays)


def test_a_text_leads_to_no_memory_that_has_expired_while_another_has_it(
    store: MemoryStore, clock: SettableClock
) -> None:
    expired = add(store, "one", expires_at=START + timedelta(seconds=5))
    stays, goes = add(store, "two"), add(store, "three")
    # The expired one is the nearest to the one that goes.
    _revised(store, expired, text="x", vector=axis(1, 9))
    stays = _revised(store, stays, text="x", vector=axis(1, 8))
    goes = _revised(store, goes, text="x", vector=axis(1, 9))
    clock.move(seconds=6)

    assert store.delete("acme", goes.id)

    (again,) = store.add("acme", [MemoryDraft("ann", "x")], axis(1, 9)[np.newaxis, :])
    assert (again.is_new, again.memory) == (False, stays)


def _revised(store: MemoryStore, memory: Memory, *, text: str, vector: Vector) -> Memory:
    changed = replace(memory, text=text, version=memory.version + 1)
    assert store.revise("acme", memory, changed, vector)
    return changed


def test_what_is_stored_together_is_created_in_the_order_given(store: MemoryStore) -> None:
    texts = [f"turn {number}" for number in (3, 1, 2)]
    vectors = np.eye(3, 8, dtype=np.float32)

    made = store.add("acme", [MemoryDraft("ann", text) for text in texts], vectors)

    found = [store.get("acme", one.memory.id) for one in made]
    assert found == [one.memory for one in made]
    assert [one.memory.text for one in made] == texts
    assert made[0].memory.created_at < made[1].memory.created_at < made[2].memory.created_at
    assert all(one.memory.occurred_at == one.memory.created_at for one in made)


@pytest.mark.parametrize(
    "other",
    [
        {"user_id": "bob"},
        {"speaker": "Bob"},
        {"agent_id": "a"},
        {"session_id": "s"},
        {"occurred_at": START},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_same_text_in_another_scope_is_another_memory(
    store: MemoryStore, other: dict[str, Any]
) -> None:
    assert add(store, "I like tea").id != add(store, "I like tea", **other).id


def test_the_same_text_twice_in_one_call_is_stored_once(store: MemoryStore) -> None:
    draft = MemoryDraft("ann", "twice")

    outcomes = store.add("acme", [draft, MemoryDraft("bob", "x"), draft], np.stack([axis(1)] * 3))

    assert [outcome.is_new for outcome in outcomes] == [True, True, False]
    assert outcomes[0].memory == outcomes[2].memory


def test_of_many_that_add_the_same_text_at_once_exactly_one_is_first(store: MemoryStore) -> None:
    draft = MemoryDraft("ann", "race")
    with ThreadPoolExecutor(8) as threads:
        futures = [
            threads.submit(store.add, "acme", [draft], axis(1)[np.newaxis, :]) for _ in range(8)
        ]
        outcomes = [future.result()[0] for future in futures]

    assert sum(outcome.is_new for outcome in outcomes) == 1
    assert len({outcome.memory.id for outcome in outcomes}) == 1


def test_a_thousand_memories_of_many_users_are_all_found(store: MemoryStore) -> None:
    drafts = [MemoryDraft(f"user{n % 7}", f"fact {n}") for n in range(1000)]
    vectors = np.stack([axis(1, n) for n in range(1000)])

    outcomes = store.add("acme", drafts, vectors)

    assert [outcome.memory.text for outcome in outcomes] == [draft.text for draft in drafts]
    assert store.count("acme") == 1000
    assert (
        sum(len(store.view("acme", MemoryScope(f"user{n}")).scan(None)) for n in range(7)) == 1000
    )


def test_an_unknown_or_malformed_id_is_no_memory(store: MemoryStore) -> None:
    assert store.get("acme", "0" * 35) is None
    add(store, "something")

    for unknown in ("", "0" * 35, "f" * 35, "../../etc", "x" * 300, "0" * 34 + "\n"):
        assert store.get("acme", unknown) is None
        assert not store.delete("acme", unknown)


def test_another_tenants_memories_cannot_be_reached(store: MemoryStore) -> None:
    mine = add(store, "secret")
    store.add("other", [MemoryDraft("ann", "theirs")], axis(1)[np.newaxis, :])

    assert store.get("other", mine.id) is None
    assert not store.delete("other", mine.id)
    assert [m.text for m in store.view("other", ANN).scan(None)] == ["theirs"]
    assert [n.memory.text for n in store.view("other", ANN).nearest(axis(1), 10, None)] == [
        "theirs"
    ]
    assert store.forget("other", "ann", dry_run=False).memories == 1
    assert store.get("acme", mine.id) == mine
    assert (store.count("acme"), store.count("other"), store.count(None)) == (1, 0, 1)


@pytest.mark.parametrize("strangers", [0, 1, 60])
def test_the_nearest_are_the_users_own_however_many_others_are_nearer(
    store: MemoryStore, strangers: int
) -> None:
    for number in range(5):
        add(store, f"ann {number}", axis(1, 1, number))
    drafts = [MemoryDraft(f"bob {n}", f"nearer {n}", agent_id="x") for n in range(strangers)]
    vectors = np.stack([axis(1, n / 1000) for n in range(strangers)] or [axis(1)])
    store.add("acme", drafts, vectors[:strangers])
    for _ in range(3):
        near = store.view("acme", ANN).nearest(axis(1), 3, None)
        assert [n.memory.text for n in near] == ["ann 0", "ann 1", "ann 2"]


def test_the_nearest_of_an_agent_are_its_own(store: MemoryStore) -> None:
    for number in range(8):
        agent = "rare" if number > 5 else "busy"
        add(store, f"{agent} {number}", axis(1, number), agent_id=agent, session_id=agent[:1])
    for _ in range(2):
        for scope in (MemoryScope("ann", agent_id="rare"), MemoryScope("ann", session_id="r")):
            near = store.view("acme", scope).nearest(axis(1), 2, None)
            assert [n.memory.text for n in near] == ["rare 6", "rare 7"]


def test_the_nearest_come_first_with_their_cosine(store: MemoryStore) -> None:
    add(store, "far", axis(0, 1))
    add(store, "near", axis(1, 0))
    add(store, "between", axis(1, 1))
    add(store, "of another user", axis(1, 0), user_id="bob")

    near = store.view("acme", ANN).nearest(axis(1, 0), 2, None)

    assert [found.memory.text for found in near] == ["near", "between"]
    assert [found.cosine for found in near] == pytest.approx([1.0, 0.70710678], abs=1e-5)


def test_fewer_than_the_limit_means_that_there_are_no_more(store: MemoryStore) -> None:
    for n in range(5):
        add(store, f"fact {n}", axis(1, n))

    assert len(store.view("acme", ANN).nearest(axis(1), 5, None)) == 5
    assert len(store.view("acme", ANN).nearest(axis(1), 100, None)) == 5
    assert store.view("acme", MemoryScope("nobody")).nearest(axis(1), 100, None) == []
    assert store.view("nobody", ANN).nearest(axis(1), 100, None) == []


def test_a_search_sees_only_the_session_and_agent_it_names(store: MemoryStore) -> None:
    add(store, "a", session_id="s1", agent_id="x")
    add(store, "b", session_id="s1", agent_id="y")
    add(store, "c", session_id="s2", agent_id="x")

    scope = MemoryScope("ann", agent_id="x", session_id="s1")

    assert [n.memory.text for n in store.view("acme", scope).nearest(axis(1), 10, None)] == ["a"]
    assert [m.text for m in store.view("acme", scope).scan(None)] == ["a"]


def test_narrowing_by_a_condition_loses_no_match(store: MemoryStore) -> None:
    for n in range(20):
        add(store, f"fact {n}", axis(1, n), metadata={"n": n, "odd": n % 2 == 1})
    condition = filters.parse({"metadata.n": {"gte": 5}, "metadata.odd": True}, {})

    found = {n.memory.text for n in store.view("acme", ANN).nearest(axis(1), 100, condition)}
    view = store.view("acme", ANN)
    scanned = {m.text for m in view.scan(condition)}
    containing = {
        n.memory.text for n in view.containing(["fact"], axis(1), 100, condition=condition)
    }

    wanted = {f"fact {n}" for n in range(5, 20) if n % 2}
    assert wanted <= found
    assert wanted <= scanned
    assert wanted <= containing


def test_a_text_is_found_by_a_phrase_whatever_its_case(store: MemoryStore) -> None:
    add(store, "Order AB-12/34 (urgent)", axis(0, 1))
    add(store, "Nothing of the kind", axis(1))
    add(store, "order ab-12/34 of Bob", axis(1), user_id="bob")

    near = store.view("acme", ANN).containing(
        ["ab-12/34 (URGENT)", "no such"], axis(1), 10, condition=None
    )

    assert [(n.memory.text, round(n.cosine, 4)) for n in near] == [("Order AB-12/34 (urgent)", 0.0)]


def test_phrases_are_not_patterns(store: MemoryStore) -> None:
    add(store, "plain text", axis(1))
    phrases = [".*", "plain.text", "a|plain", "[a-z]", "\\w", "^plain", "(", "#-&~ @"]

    assert store.view("acme", ANN).containing(phrases, axis(1), 10, condition=None) == []


def test_speakers_are_known_by_their_lower_case_names(store: MemoryStore) -> None:
    add(store, "hello", speaker="Mary Ann")
    add(store, "hi", speaker="Bob", user_id="other")

    assert store.view("acme", ANN).known_speakers(["mary ann", "mary", "bob"]) == {"mary ann"}
    assert store.view("acme", ANN).known_speakers([]) == set()
    assert store.view("nobody", ANN).known_speakers(["mary ann"]) == set()


def test_speakers_stay_known_when_all_that_they_said_is_gone(store: MemoryStore) -> None:
    gone = add(store, "hello", speaker="Bob")
    add(store, "hi", speaker="Eve")
    store.delete("acme", gone.id)

    for _ in range(6):  # What was read once, or often, may be kept.
        assert store.view("acme", ANN).known_speakers(["bob", "eve", "kim"]) == {"bob", "eve"}
    left = add(store, "good morning", speaker="Kim")
    assert store.view("acme", ANN).known_speakers(["kim"]) == {"kim"}
    store.delete("acme", left.id)
    assert store.view("acme", ANN).known_speakers(["bob", "kim"]) == {"bob", "kim"}


def test_a_change_makes_a_version_and_keeps_the_old_one(
    store: MemoryStore, clock: SettableClock
) -> None:
    first = add(store, "tea", axis(1), metadata={"a": 1, "b": "x"}, expires_at=START + timedelta(1))
    clock.move(minutes=1)
    second = replace(
        first, text="coffee", metadata={"b": "y"}, expires_at=None, updated_at=clock(), version=2
    )

    assert store.revise("acme", first, second, axis(0, 1))

    assert store.get("acme", first.id) == second
    assert store.versions("acme", second) == [first]
    near = store.view("acme", ANN).nearest(axis(0, 1), 1, None)
    assert [(n.memory, round(n.cosine, 4)) for n in near] == [(second, 1.0)]
    assert store.view("acme", ANN).scan(filters.parse({"metadata.a": 1}, {})) in ([], [second])


def test_a_change_without_a_vector_keeps_the_stored_one(store: MemoryStore) -> None:
    first = add(store, "tea", axis(0, 0, 1))

    assert store.revise("acme", first, replace(first, metadata={"n": 1}, version=2), None)

    near = store.view("acme", ANN).nearest(axis(0, 0, 1), 1, None)[0]
    assert near.memory.metadata == {"n": 1}
    assert near.cosine == pytest.approx(1.0, abs=1e-5)


def test_a_change_of_an_outdated_version_changes_nothing(store: MemoryStore) -> None:
    first = add(store, "tea")
    second = replace(first, text="coffee", version=2)
    assert store.revise("acme", first, second, axis(1))

    assert not store.revise("acme", first, replace(first, text="water", version=2), axis(1))

    assert store.get("acme", first.id) == second
    assert store.versions("acme", second) == [first]


def test_of_many_changes_at_once_no_version_is_lost(store: MemoryStore) -> None:
    memory = add(store, "v1")

    def change(number: int) -> bool:
        current = store.get("acme", memory.id)
        assert current is not None
        text = f"by {number}"
        revised = replace(current, text=text, version=current.version + 1)
        return store.revise("acme", current, revised, axis(1, number))

    with ThreadPoolExecutor(6) as threads:
        accepted = sum(threads.map(change, range(12)))

    final = store.get("acme", memory.id)
    assert final is not None
    assert final.version == accepted + 1
    numbers = [old.version for old in store.versions("acme", final)]
    assert numbers == list(range(1, final.version))


def test_a_changed_memory_is_found_by_its_new_text_and_not_by_its_old(store: MemoryStore) -> None:
    memory = add(store, "tea")
    store.revise("acme", memory, replace(memory, text="coffee", version=2), axis(1))

    same = store.add("acme", [MemoryDraft("ann", "coffee")], axis(1)[np.newaxis, :])[0]
    other = store.add("acme", [MemoryDraft("ann", "tea")], axis(1)[np.newaxis, :])[0]

    assert (same.is_new, same.memory.id) == (False, memory.id)
    assert other.is_new
    assert other.memory.id != memory.id
    assert len(store.view("acme", ANN).scan(None)) == 2


def test_a_text_stays_found_when_the_memory_that_had_it_first_is_deleted(
    store: MemoryStore,
) -> None:
    first = add(store, "tea")
    store.revise("acme", first, replace(first, text="coffee", version=2), axis(1))
    again = add(store, "tea")
    store.delete("acme", first.id)

    assert add(store, "tea").id == again.id
    assert len(store.view("acme", ANN).scan(None)) == 1


def test_a_deleted_memory_is_gone_with_its_versions(store: MemoryStore) -> None:
    first = add(store, "tea")
    second = replace(first, text="coffee", version=2)
    store.revise("acme", first, second, axis(1))

    assert store.delete("acme", first.id)

    assert store.get("acme", first.id) is None
    assert not store.delete("acme", first.id)
    assert store.view("acme", ANN).nearest(axis(1), 10, None) == []
    assert store.forget("acme", "ann", dry_run=True).versions == 0
    assert store.add("acme", [MemoryDraft("ann", "coffee")], axis(1)[np.newaxis, :])[0].is_new


def test_a_change_never_brings_a_deleted_memory_back(store: MemoryStore) -> None:
    memory = add(store, "tea")
    store.delete("acme", memory.id)

    assert not store.revise("acme", memory, replace(memory, text="coffee", version=2), axis(1))
    assert store.get("acme", memory.id) is None
    assert store.forget("acme", "ann", dry_run=True).versions == 0


def test_an_expired_memory_is_absent_and_its_text_can_be_stored_anew(
    store: MemoryStore, clock: SettableClock
) -> None:
    old = add(store, "tea", metadata={"old": True}, expires_at=START + timedelta(seconds=5))
    clock.move(seconds=5)
    assert store.get("acme", old.id) is None

    new = store.add("acme", [MemoryDraft("ann", "tea")], axis(0, 1)[np.newaxis, :])[0]

    assert new.is_new
    assert (new.memory.created_at, new.memory.metadata) == (clock(), {})
    assert store.get("acme", new.memory.id) == new.memory
    near = store.view("acme", ANN).nearest(axis(0, 1), 1, None)[0]
    assert near.cosine == pytest.approx(1.0, abs=1e-5)


def test_a_sweep_removes_the_expired_and_nothing_else(
    store: MemoryStore, clock: SettableClock
) -> None:
    add(store, "gone", expires_at=START + timedelta(seconds=5))
    kept = add(store, "kept", expires_at=START + timedelta(seconds=9))
    forever = add(store, "forever")
    store.claim("acme", "key", "f", "ann")

    assert store.sweep(START + timedelta(seconds=5)) == 1
    clock.move(days=2)
    assert store.sweep(START + timedelta(seconds=6)) == 0

    assert {m.id for m in store.view("acme", ANN).scan(None)} == {kept.id, forever.id}


def test_a_sweep_spares_the_versions_of_a_memory_that_expires_later_than_it_was_to(
    store: MemoryStore,
) -> None:
    later = [None, START + timedelta(hours=1)]
    extended = []
    for number, expires_at in enumerate(later):
        old = add(store, f"fact {number}", expires_at=START + timedelta(seconds=5))
        new = replace(old, expires_at=expires_at, version=2)
        assert store.revise("acme", old, new, None)
        extended.append((old, new))

    assert store.sweep(START + timedelta(seconds=6)) == 0
    for old, new in extended:
        assert store.get("acme", new.id) == new
        assert store.versions("acme", new) == [old]


def test_a_sweep_removes_an_expired_memory_that_was_changed_with_its_versions(
    store: MemoryStore,
) -> None:
    old = add(store, "fact", expires_at=START + timedelta(seconds=5))
    new = replace(old, text="other fact", version=2)
    assert store.revise("acme", old, new, axis(1))

    assert store.sweep(START + timedelta(seconds=6)) == 1
    assert store.view("acme", ANN).scan(None) == []
    assert store.versions("acme", new) == []


def test_forgetting_a_user_leaves_no_trace_of_them_and_all_of_the_others(
    store: MemoryStore,
) -> None:
    for n in range(30):
        memory = add(store, f"fact {n}", speaker="Ann")
        if n < 3:
            store.revise("acme", memory, replace(memory, text=f"new {n}", version=2), axis(1))
    theirs = add(store, "theirs", user_id="bob")
    store.claim("acme", "key", "first", "ann")

    counted = store.forget("acme", "ann", dry_run=True)
    still = len(store.view("acme", ANN).scan(None))
    forgotten = store.forget("acme", "ann", dry_run=False)

    assert counted == forgotten
    assert (forgotten.memories, forgotten.versions, still) == (30, 3, 30)
    assert store.view("acme", ANN).scan(None) == []
    assert store.forget("acme", "ann", dry_run=False).memories == 0
    assert store.view("acme", ANN).known_speakers(["ann"]) == set()
    assert store.claim("acme", "key", "second", "ann").fingerprint == "second"
    assert store.get("acme", theirs.id) == theirs


def test_an_idempotency_key_belongs_to_the_first_request(
    store: MemoryStore, clock: SettableClock
) -> None:
    assert store.claim("acme", "key", "first", "ann").fingerprint == "first"
    assert store.claim("acme", "key", "second", "bob").fingerprint == "first"
    assert store.claim("other", "key", "second", "bob").fingerprint == "second"

    clock.move(hours=24)

    assert store.claim("acme", "key", "second", "bob").fingerprint == "second"


def test_what_a_key_made_is_found_again_though_it_was_changed_since(store: MemoryStore) -> None:
    first = add(store, "tea", idempotency_key="key")
    revised = replace(first, text="tea with milk", version=2)
    assert store.revise("acme", first, revised, axis(1))
    second = add(store, "tea", idempotency_key="other key")
    assert store.revise("acme", second, replace(second, text="no tea", version=2), axis(1))

    assert add(store, "tea", idempotency_key="key").text == "tea with milk"
    assert add(store, "tea", idempotency_key="other key").text == "no tea"
    assert len({first.id, second.id, add(store, "tea").id}) == 3


def test_a_key_is_spent_when_its_memory_is_deleted(store: MemoryStore) -> None:
    assert not store.claim("acme", "key", "first", "ann").is_spent
    memory = add(store, "tea", idempotency_key="key")

    store.delete("acme", memory.id)

    assert store.claim("acme", "key", "first", "ann").is_spent
