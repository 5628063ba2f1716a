"""What memapp does with memories, on a store in a dictionary and an embedder that hashes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memapp import filters
from memapp.embedders import hashing
from memapp.errors import Conflict, InvalidInput, NotFound
from memapp.records import Memory, MemoryDraft, MemoryScope, Vector
from memapp.services.memories import Idempotency, Memories, MemoryChanges, MemorySearch
from tests.fakes.memory_store import FakeMemories

ANN = MemoryScope("ann")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that moves on by one second whenever it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> FakeMemories:
    return FakeMemories(clock, claim_lifetime=timedelta(hours=24))


@pytest.fixture
def memories(store: FakeMemories, clock: Clock) -> Memories:
    return Memories(store, hashing.create({}), clock, pool=20, speaker_boost=0.25)


def remember(memories: Memories, text: str, **fields: Any) -> Memory:
    chosen: dict[str, Any] = {"user_id": "ann", "text": text} | fields
    return memories.remember("acme", MemoryDraft(**chosen)).memory


def recall(memories: Memories, query: str, **fields: Any) -> list[str]:
    chosen: dict[str, Any] = {"scope": ANN, "query": query} | fields
    return [found.memory.text for found in memories.recall("acme", MemorySearch(**chosen))]


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_the_memory_that_answers_comes_first(memories: Memories, mode: str) -> None:
    remember(memories, "the cat sleeps on the sofa")
    remember(memories, "a ticket to Paris costs ninety euros")
    remember(memories, "the cat of somebody else", user_id="bob")

    assert recall(memories, "ticket to Paris", mode=mode)[0].startswith("a ticket")
    assert recall(memories, "cat", limit=1, mode=mode) == ["the cat sleeps on the sofa"]


def test_scores_fall_from_one_to_nought_and_below_the_least_are_left_out(
    memories: Memories,
) -> None:
    for n in range(30):
        remember(memories, f"fact number {n} about ships" if n % 2 else f"note {n}")
    search = MemorySearch(ANN, "ships", limit=30)

    scores = [found.score for found in memories.recall("acme", search)]
    some = memories.recall("acme", replace(search, min_score=0.5))

    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert [found.score for found in some] == [score for score in scores if score >= 0.5]


def test_the_parts_of_a_score_are_given_when_asked_for(memories: Memories) -> None:
    remember(memories, "ships")

    plain = memories.recall("acme", MemorySearch(ANN, "ships"))[0]
    explained = memories.recall("acme", MemorySearch(ANN, "ships", explain=True))[0]

    assert plain.explanation is None
    assert explained.explanation is not None
    assert sum(explained.explanation.values()) == pytest.approx(explained.score)


def test_the_expired_leave_room_for_the_living(memories: Memories, clock: Clock) -> None:
    for n in range(100):
        remember(memories, f"ship {n}", expires_at=clock.now + timedelta(seconds=500))
    remember(memories, "a ship that stays")
    clock.now += timedelta(hours=1)

    assert recall(memories, "ship") == ["a ship that stays"]


def test_a_selective_filter_finds_what_lies_beyond_the_pool(memories: Memories) -> None:
    for n in range(100):
        remember(memories, f"ship {n}", metadata={"n": n})
    remember(memories, "something else entirely", metadata={"n": 1000})

    # `not` and `exists` are nothing that Chroma could narrow by.
    condition = filters.parse({"not": {"metadata.n": {"lt": 1000}}}, {})

    assert recall(memories, "ship", condition=condition) == ["something else entirely"]


def test_an_identifier_outside_the_pool_is_found_exactly(memories: Memories) -> None:
    for n in range(100):
        remember(memories, f"the parcel arrived in week {n}")
    remember(memories, "ref ZX-81/77 lost")

    assert recall(memories, "what became of the parcel ZX-81/77?", limit=1) == ["ref ZX-81/77 lost"]


@pytest.mark.parametrize("reason", ["filter", "expiry"])
def test_an_identifier_outside_the_pool_is_found_behind_many_that_may_not_be_shown(
    memories: Memories, clock: Clock, reason: str
) -> None:
    expires = clock.now + timedelta(hours=1) if reason == "expiry" else None
    for n in range(100):
        others = " ".join(f"word{n * 20 + i}" for i in range(20))
        remember(memories, f"ZX-81/77 {others}", metadata={"kept": 0}, expires_at=expires)
        remember(memories, f"what of the parcel {n}", metadata={"kept": 1})
    remember(memories, "ref ZX-81/77 lost", metadata={"kept": 1})
    clock.now += timedelta(hours=2)
    condition = filters.parse({"metadata.kept": 1}, {}) if reason == "filter" else None

    found = recall(memories, "what of the parcel ZX-81/77?", limit=1, condition=condition)

    assert found == ["ref ZX-81/77 lost"]


def test_what_a_named_speaker_said_is_preferred_unless_it_is_not_wished(memories: Memories) -> None:
    for who in ("Tom", "Maya"):
        remember(memories, "I like the harbour", speaker=who)

    def first(name: str, *, boost: bool = True) -> float:
        search = MemorySearch(ANN, f"what does {name} like?", speaker_boost=boost, explain=True)
        best = memories.recall("acme", search)[0]
        assert best.explanation is not None
        assert not boost or best.memory.speaker == name
        return float(best.explanation["speaker"])

    assert first("Tom") > 0
    assert first("Maya") > 0
    assert first("Maya", boost=False) == 0


def test_a_history_that_meets_a_deletion_is_that_of_no_memory(
    memories: Memories, store: FakeMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = remember(memories, "tea")
    memories.revise("acme", memory.id, MemoryChanges(text="coffee"))

    def deleted_before(tenant: str, memory: Memory) -> list[Memory]:
        store.delete(tenant, memory.id)
        return []

    monkeypatch.setattr(store, "versions", deleted_before)
    with pytest.raises(NotFound):
        memories.history("acme", memory.id)


def test_a_repeated_request_makes_one_memory(memories: Memories) -> None:
    draft = MemoryDraft("ann", "tea", occurred_at=START)

    first = memories.remember("acme", draft, Idempotency("k", "sent"))
    second = memories.remember("acme", draft, Idempotency("k", "sent"))

    assert (first.is_new, second.is_new) == (True, False)
    assert first.memory == second.memory


def test_a_key_cannot_be_used_for_another_request(memories: Memories, store: FakeMemories) -> None:
    memories.remember("acme", MemoryDraft("ann", "tea"), Idempotency("k", "sent"))

    with pytest.raises(Conflict) as caught:
        memories.remember("acme", MemoryDraft("ann", "coffee"), Idempotency("k", "another"))

    assert caught.value.code == "idempotency_key_reused"
    assert store.count("acme") == 1


def test_a_repeated_request_does_not_bring_a_deleted_memory_back(memories: Memories) -> None:
    draft = MemoryDraft("ann", "tea")
    memory = memories.remember("acme", draft, Idempotency("k", "sent")).memory
    memories.delete("acme", memory.id)

    with pytest.raises(Conflict) as caught:
        memories.remember("acme", draft, Idempotency("k", "sent"))

    assert caught.value.code == "idempotency_key_spent"


def test_a_change_keeps_what_it_does_not_name(memories: Memories) -> None:
    memory = remember(memories, "tea", metadata={"a": 1}, expires_at=START + timedelta(days=9))

    changed = memories.revise("acme", memory.id, MemoryChanges(text="coffee"))
    bare = memories.revise("acme", memory.id, MemoryChanges(metadata={}, expires_at=None))

    assert (changed.text, changed.metadata, changed.version) == ("coffee", {"a": 1}, 2)
    assert changed.expires_at == memory.expires_at
    assert (bare.text, bare.metadata, bare.expires_at, bare.version) == ("coffee", {}, None, 3)
    assert [v.version for v in memories.history("acme", memory.id)] == [1, 2, 3]
    assert [v.text for v in memories.history("acme", memory.id)] == ["tea", "coffee", "coffee"]
    assert recall(memories, "coffee") == ["coffee"]


def test_changes_at_once_are_all_made(memories: Memories) -> None:
    memory = remember(memories, "v0")
    with ThreadPoolExecutor(4) as threads:
        changes = [MemoryChanges(text=f"v{n}") for n in range(1, 9)]
        list(threads.map(lambda change: memories.revise("acme", memory.id, change), changes))

    texts = [version.text for version in memories.history("acme", memory.id)]
    assert sorted(texts) == sorted(["v0", *(f"v{n}" for n in range(1, 9))])


def test_a_change_gives_up_when_others_never_end(
    memories: Memories, store: FakeMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = remember(memories, "tea")

    def never(_tenant: str, _now: Memory, _then: Memory, _vector: Vector | None) -> bool:
        return False

    monkeypatch.setattr(store, "revise", never)
    monkeypatch.setattr("memapp.services.memories.CHANGE_PATIENCE", timedelta(seconds=0.05))

    with pytest.raises(Conflict) as caught:
        memories.revise("acme", memory.id, MemoryChanges(text="coffee"))

    assert caught.value.code == "concurrent_change"


def test_what_is_not_there_is_not_found(memories: Memories) -> None:
    with pytest.raises(NotFound):
        memories.get("acme", "0" * 35)
    with pytest.raises(NotFound):
        memories.delete("acme", "0" * 35)
    with pytest.raises(NotFound):
        memories.history("acme", "0" * 35)
    with pytest.raises(NotFound):
        memories.revise("acme", "0" * 35, MemoryChanges(text="x"))


def test_a_walk_sees_each_memory_once_while_others_are_written(memories: Memories) -> None:
    there = [remember(memories, f"m{n}").id for n in range(25)]
    seen: list[str] = []
    cursor = None
    while True:
        page = memories.page("acme", ANN, condition=None, limit=4, cursor=cursor)
        seen += [memory.id for memory in page.items]
        remember(memories, f"new {len(seen)}")
        cursor = page.next_cursor
        if cursor is None:
            break

    assert [one for one in seen if one in there] == list(reversed(there))
    assert len(seen) == len(set(seen))


def test_a_list_leaves_out_the_expired_and_the_filtered(memories: Memories, clock: Clock) -> None:
    remember(memories, "gone", expires_at=clock.now + timedelta(seconds=30))
    remember(memories, "other", metadata={"n": 2})
    remember(memories, "wanted", metadata={"n": 1})
    clock.now += timedelta(minutes=1)
    condition = filters.parse({"metadata.n": 1}, {})

    page = memories.page("acme", ANN, condition=condition, limit=10, cursor=None)

    assert [memory.text for memory in page.items] == ["wanted"]
    assert page.next_cursor is None


def test_a_foreign_cursor_is_refused(memories: Memories) -> None:
    with pytest.raises(InvalidInput) as caught:
        memories.page("acme", ANN, condition=None, limit=10, cursor="made-up")

    assert caught.value.errors[0].pointer == "?cursor"
