"""What writing a memory costs in calls of Chroma, and what half a write leaves behind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest

from memapp.backends import http
from memapp.chroma import change_log, memory_revision, memory_sweep
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.memories import ChromaMemories
from memapp.chroma.memory_records import StoredMemoryRecord
from memapp.chroma.memory_shard import MemoryShard
from memapp.chroma_config import ChromaConfig
from memapp.embedders.hashing import HashEmbedder
from memapp.errors import StoreTimeout
from memapp.records import Memory, MemoryDraft, MemoryScope, Vector
from memapp.services.memories import Memories, MemoryChanges
from tests.chroma.conftest import Connect
from tests.chroma.fake_servers import Gate, gate
from tests.chroma.memory_stores import open_memories
from tests.chroma_server import ChromaServer

EMBEDDER = HashEmbedder()


class MovableClock:
    """A clock that goes on, and can be moved."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def relay(chroma_server: ChromaServer) -> Iterator[Gate]:
    with gate(chroma_server.port) as relay:
        yield relay


Start = Callable[[], ChromaMemories]


@pytest.fixture
def start(relay: Gate, chroma_database: str, clock: MovableClock) -> Iterator[Start]:
    """Open stores as if each were a process."""
    opened: list[Connection] = []

    def start_one() -> ChromaMemories:
        config = ChromaConfig(host="127.0.0.1", port=relay.port, database=chroma_database)
        connection = Connection(partial(http.connect, config), patience=config.patience)
        opened.append(connection)
        return open_memories(connection, EMBEDDER.identity, clock=clock)

    yield start_one
    for connection in opened:
        connection.close()


@pytest.fixture
def store(start: Start) -> ChromaMemories:
    store = start()
    add(store, "the first, which takes a slot")
    return store


def vector(seed: int = 1) -> Vector:
    row = np.random.default_rng(seed).standard_normal(EMBEDDER.identity.dimensions)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def add(store: ChromaMemories, text: str, user: str = "ann") -> Memory:
    return store.add("acme", [MemoryDraft(user, text)], vector(len(text))[np.newaxis, :])[0].memory


def add_passing(store: ChromaMemories, clock: MovableClock) -> Memory:
    """Add a memory that has expired when this returns."""
    draft = MemoryDraft("ann", "tea", expires_at=clock() + timedelta(minutes=1))
    memory = store.add("acme", [draft], vector()[np.newaxis, :])[0].memory
    clock.ahead += timedelta(minutes=2)
    return memory


def next_version(memory: Memory, text: str) -> Memory:
    now = memory.updated_at + timedelta(milliseconds=1)
    return replace(memory, text=text, version=memory.version + 1, updated_at=now)


def revise(store: ChromaMemories, memory: Memory, text: str) -> Memory:
    revised = next_version(memory, text)
    assert store.revise("acme", memory, revised, vector(len(text)))
    return revised


def texts(store: ChromaMemories, user: str = "ann") -> set[str]:
    return {memory.text for memory in store.view("acme", MemoryScope(user)).scan(None)}


def shelf(store: ChromaMemories) -> Collection:
    found = store._shelves.find_shard("acme", 0)
    assert found is not None
    return found


def kinds(store: ChromaMemories) -> list[str]:
    """Return what kinds of records there are, slots aside, as the first letters of their ids."""
    ids = [one for one in shelf(store).get().ids if not one.startswith("w.")]
    return sorted(one[0] if "." in one else "memory" for one in ids)


def calls(relay: Gate) -> list[str]:
    return [path.rpartition("/")[2] for _, path in relay.requests]


def test_an_addition_takes_three_calls(relay: Gate, store: ChromaMemories) -> None:
    relay.requests.clear()
    add(store, "tea")
    assert calls(relay) == ["get", "add", "get"]


def interrupt_writing(
    store: ChromaMemories, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]
) -> None:
    """Let something happen once, when a store has looked where to write and has not written."""
    shard = store._shard("acme", 0)
    write = shard._write_fresh

    def act_and_write(fresh: Any) -> Any:
        monkeypatch.setattr(shard, "_write_fresh", write)
        action()
        return write(fresh)

    monkeypatch.setattr(shard, "_write_fresh", act_and_write)


def test_a_text_whose_place_another_took_and_changed_meanwhile_is_stored_all_the_same(
    start: Start, store: ChromaMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start()
    interrupt_writing(store, monkeypatch, lambda: revise(other, add(other, "tea"), "milk"))

    stored = add(store, "tea")

    assert stored.text == "tea"
    assert sorted(texts(other)) == ["milk", "tea", "the first, which takes a slot"]


def test_a_memory_that_is_changed_before_its_addition_was_seen_is_not_added_again(
    start: Start, store: ChromaMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start()
    shard = store._shard("acme", 0)
    publish = shard.log.publish

    def publish_and_change(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(shard.log, "publish", publish)
        publish(*arguments, **options)
        [written] = [
            one for one in other.view("acme", MemoryScope("ann")).scan(None) if one.text == "tea"
        ]
        revise(other, written, "milk")
        return {one: (fields, text) for one, fields, text in _whole(shelf(store), options["read"])}

    monkeypatch.setattr(shard.log, "publish", publish_and_change)

    assert add(store, "tea").text == "tea"
    assert sorted(texts(other)) == ["milk", "the first, which takes a slot"]


def test_of_two_that_add_a_text_at_once_both_keep_the_vector_of_the_first(
    start: Start, store: ChromaMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, draft = start(), MemoryDraft("ann", "tea")
    assert texts(store) == {"the first, which takes a slot"}
    interrupt_writing(
        store, monkeypatch, lambda: other.add("acme", [draft], vector(1)[np.newaxis, :])
    )

    store.add("acme", [draft], vector(2)[np.newaxis, :])

    [near] = store.view("acme", MemoryScope("ann")).nearest(vector(1), 1, None)
    assert near.memory.text == "tea"
    assert near.cosine == pytest.approx(1.0, abs=1e-3)


def _whole(shard: Collection, ids: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    found = shard.get(ids=ids, include=("metadatas", "documents"))
    return zip(found.ids, found.metadatas, found.documents, strict=True)


def test_old_changes_of_all_users_of_a_shard_are_removed_in_one_call(
    relay: Gate, start: Start
) -> None:
    store, reader = start(), start()
    for user in ("ann", "bob"):
        add(store, "tea", user)
        assert texts(reader, user) == {"tea"}
    relay.requests.clear()

    for number in range(change_log.KEPT + change_log.TRIMMED // 2 - 1):
        for user in ("ann", "bob"):
            add(store, f"fact {number}", user)

    assert calls(relay).count("delete") == 1
    changes = shelf(store).get(where={"kind": "change"}, include=("metadatas",)).metadatas
    numbers = sorted((fields["change_of"], fields["number"]) for fields in changes)
    last = change_log.KEPT + change_log.TRIMMED // 2
    kept = [0, *range(last - change_log.KEPT + 1, last + 1)]
    assert numbers == [(user, number) for user in ("ann", "bob") for number in kept]
    for user in ("ann", "bob"):
        assert len(texts(reader, user)) == last


def test_a_change_takes_two_writes_and_two_reads(relay: Gate, store: ChromaMemories) -> None:
    memory = add(store, "tea")
    relay.requests.clear()
    memories = Memories(store, EMBEDDER, lambda: datetime.now(UTC), pool=10, speaker_boost=0)
    memories.revise("acme", memory.id, MemoryChanges(text="coffee"))
    assert calls(relay) == ["get", "add", "get", "update"]


def test_a_change_of_an_outdated_version_removes_only_its_own_alias(
    relay: Gate, store: ChromaMemories
) -> None:
    memory = add(store, "tea")
    revise(store, memory, "coffee")
    relay.requests.clear()
    assert not store.revise("acme", memory, next_version(memory, "water"), vector())
    assert calls(relay) == ["add", "get", "delete"]
    assert kinds(store).count("a") == kinds(store).count("v") == 1


def test_a_change_of_an_outdated_version_without_a_text_has_nothing_to_remove(
    relay: Gate, store: ChromaMemories
) -> None:
    memory = add(store, "tea")
    revise(store, memory, "coffee")
    relay.requests.clear()
    changed = replace(memory, version=2, metadata={"a": 1})
    assert not store.revise("acme", memory, changed, None)
    assert calls(relay) == ["add", "get"]


def test_a_deletion_takes_two_writes_and_two_reads(relay: Gate, store: ChromaMemories) -> None:
    memory = add(store, "tea")
    relay.requests.clear()
    store.delete("acme", memory.id)
    assert calls(relay) == ["get", "add", "get", "delete"]


def test_the_deletion_of_a_changed_memory_looks_for_its_aliases_and_others_of_its_text_too(
    relay: Gate, store: ChromaMemories
) -> None:
    memory = revise(store, add(store, "tea"), "coffee")
    relay.requests.clear()
    store.delete("acme", memory.id)
    assert calls(relay) == ["get", "add", "get", "get", "get", "query", "delete"]


def test_a_search_of_a_user_who_is_kept_takes_one_call(relay: Gate, store: ChromaMemories) -> None:
    texts(store)
    relay.requests.clear()
    texts(store)
    assert calls(relay) == ["get"]


def test_a_change_that_comes_too_late_is_given_up_and_blocks_nobody(
    start: Start, store: ChromaMemories, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = add(store, "tea")
    with monkeypatch.context() as late:
        late.setattr(memory_revision, "LEASE", -1.0)
        assert not store.revise("acme", memory, next_version(memory, "coffee"), vector())
    assert store.get("acme", memory.id) == memory

    revise(start(), memory, "water")

    assert texts(store) == {"the first, which takes a slot", "water"}


def test_a_change_that_was_overtaken_tells_so(
    start: Start, store: ChromaMemories, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = add(store, "tea")
    other = start()
    update = Collection.update

    def held(shard: Collection, ids: list[str], **parts: object) -> None:
        monkeypatch.setattr(Collection, "update", update)
        monkeypatch.setattr(memory_revision, "LEASE", 0.0)
        clock.ahead += memory_revision.TAKEOVER + timedelta(seconds=1)
        with monkeypatch.context() as patient:
            patient.setattr(memory_revision, "LEASE", 60.0)
            revise(other, memory, "water")

    monkeypatch.setattr(Collection, "update", held)
    monkeypatch.setattr(memory_revision, "LEASE", 60.0)

    assert not store.revise("acme", memory, next_version(memory, "coffee"), vector())
    assert texts(store) == {"the first, which takes a slot", "water"}


def test_a_change_whose_process_died_can_be_overtaken(
    start: Start, store: ChromaMemories, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = add(store, "tea")
    _die_at(monkeypatch, "update", lambda: revise(store, memory, "coffee"))
    other = start()
    assert not other.revise("acme", memory, next_version(memory, "water"), vector())

    clock.ahead += memory_revision.TAKEOVER + timedelta(seconds=1)
    revise(other, memory, "water")

    assert texts(store) == {"the first, which takes a slot", "water"}


def test_a_change_of_a_memory_deleted_meanwhile_leaves_nothing(
    start: Start, store: ChromaMemories
) -> None:
    memory = add(store, "tea")
    start().delete("acme", memory.id)

    assert not store.revise("acme", memory, next_version(memory, "coffee"), vector())

    assert not {"v", "a"} & set(kinds(store))


def test_a_text_leads_to_the_memory_that_has_it_now(store: ChromaMemories) -> None:
    former = revise(store, add(store, "tea"), "coffee")
    revise(store, former, "water")
    latter = revise(store, add(store, "milk"), "coffee")

    assert add(store, "coffee") == latter


def test_a_memory_whose_time_was_given_leads_to_its_new_text_too(
    store: ChromaMemories, clock: MovableClock
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    drafts = [MemoryDraft("ann", text, occurred_at=now) for text in ("tea", "coffee")]
    memory = store.add("acme", drafts[:1], vector()[np.newaxis, :])[0].memory
    changed = revise(store, memory, "coffee")

    again = store.add("acme", drafts[1:], vector()[np.newaxis, :])[0]

    assert (again.memory, again.is_new) == (changed, False)


def _die_at(monkeypatch: pytest.MonkeyPatch, method: str, write: Callable[[], object]) -> None:
    """Do a write and let the process die before it calls a method of the collection."""

    def die(*_: object, **__: object) -> None:
        raise StoreTimeout

    with monkeypatch.context() as dying:
        dying.setattr(Collection, method, die)
        with pytest.raises(StoreTimeout):
            write()


def test_a_sweep_removes_what_hangs_on_a_memory_that_is_gone(
    store: ChromaMemories, clock: MovableClock
) -> None:
    kept = revise(store, add(store, "milk"), "cocoa")
    memory = revise(store, add(store, "tea"), "coffee")
    shelf(store).delete([memory.id])  # As a process does that dies before it removes the rest.
    assert kinds(store).count("v") == kinds(store).count("a") == 2

    store.sweep(clock())
    assert kinds(store).count("v") == 2  # It may belong to a request under way.
    clock.ahead += timedelta(minutes=16)
    store.sweep(clock())

    assert kinds(store).count("v") == kinds(store).count("a") == 1
    assert [old.text for old in store.versions("acme", kept)] == ["milk"]
    assert add(store, "cocoa").id == kept.id


def test_a_sweep_forgets_users_of_whom_nothing_is_left(
    store: ChromaMemories, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_sweep, "PAGE", 2)
    draft = MemoryDraft("bob", "tea", speaker="Bob")
    memory = store.add("acme", [draft], vector()[np.newaxis, :])[0].memory
    store.delete("acme", memory.id)
    mine = shelf(store).get(where={"$or": [{"owner": "bob"}, {"change_of": "bob"}]})
    assert len(mine.ids) == 4  # The user, a speaker, and two changes.

    store.sweep(clock())
    assert set(mine.ids) <= set(shelf(store).get().ids)
    clock.ahead += timedelta(minutes=16)
    store.sweep(clock())

    assert not set(mine.ids) & set(shelf(store).get().ids)
    assert texts(store) == {"the first, which takes a slot"}


def test_who_is_kept_by_a_reader_is_followed_after_a_sweep_forgot_them(
    start: Start, store: ChromaMemories, clock: MovableClock
) -> None:
    reader = start()
    memory = add(store, "tea", user="bob")
    assert texts(reader, "bob") == {"tea"}
    store.delete("acme", memory.id)
    clock.ahead += timedelta(minutes=16)
    reader.sweep(clock())

    add(store, "coffee", user="bob")

    assert texts(reader, "bob") == texts(store, "bob") == {"coffee"}


def test_a_sweep_keeps_of_old_changes_only_each_writers_last(
    start: Start, store: ChromaMemories, clock: MovableClock
) -> None:
    reader = start()
    for n in range(10):
        add(store, f"fact {n}")
    before = texts(reader)
    # The user, eleven changes, and the mark that the first may be gone.
    assert kinds(store).count("c") == 12
    store.sweep(clock())
    assert kinds(store).count("c") == 12

    clock.ahead += timedelta(minutes=16)
    store.sweep(clock())

    assert kinds(store).count("c") == 1
    add(store, "one more")
    assert texts(reader) == before | {"one more"}
    assert texts(start()) == before | {"one more"}


def test_a_sweep_removes_the_changes_of_writers_without_a_slot(store: ChromaMemories) -> None:
    slots = list(change_log.read_slots(shelf(store)))
    shelf(store).delete(slots)

    store.sweep(datetime.now(UTC))

    assert "c" not in kinds(store)


@pytest.mark.parametrize("removes", ["sweep", "addition"])
def test_the_history_of_what_was_added_in_an_expired_ones_place_is_kept(
    start: Start, clock: MovableClock, monkeypatch: pytest.MonkeyPatch, removes: str
) -> None:
    store, other = start(), start()
    expired = add_passing(store, clock)
    real = MemoryShard._trail
    revised: list[Memory] = []

    def trail(shard: MemoryShard, stored: StoredMemoryRecord) -> list[str]:
        ids = real(shard, stored)
        if not revised:
            monkeypatch.setattr(MemoryShard, "_trail", real)
            revised.append(revise(other, add(other, "tea"), "tea with milk"))
        return ids

    monkeypatch.setattr(MemoryShard, "_trail", trail)
    if removes == "sweep":
        store.sweep(clock())
    else:
        add(store, "tea")

    assert revised[0].id == expired.id
    assert [memory.text for memory in store.versions("acme", revised[0])] == ["tea"]


def test_counting_leaves_out_a_collection_that_is_dropped_meanwhile(
    store: ChromaMemories, relay: Gate, connect: Connect
) -> None:
    other = connect()
    relay.dropped, relay.swallows = "/get", 1
    relay.meanwhile = lambda: other.drop("memories.acme.000")

    assert store.count("acme") == 0
    assert other.names() == ["ledger.acme"]
