"""A write whose answer is lost is never made twice, and what is answered is the truth.

One store reaches Chroma through a gate that loses answers; the others, which stand for other
processes, reach it directly and act between the loss and whatever follows it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest

from memapp.backends import http
from memapp.chroma.connection import Connection
from memapp.chroma.documents import ChromaDocuments
from memapp.chroma.memories import ChromaMemories
from memapp.chroma_config import ChromaConfig
from memapp.errors import StoreUnavailable
from memapp.ports import Revision
from memapp.records import (
    Chunk,
    Document,
    EmbedderIdentity,
    Memory,
    MemoryDraft,
    MemoryScope,
    Vector,
)
from tests.chroma.fake_servers import Gate, gate
from tests.chroma.memory_stores import open_memories
from tests.chroma_server import ChromaServer

IDENTITY = EmbedderIdentity("test", "axes", 8, "1")

Open = Callable[[int], Connection]


def vector(seed: int) -> Vector:
    row = np.random.default_rng(seed).standard_normal(8)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def add(store: ChromaMemories, text: str) -> Memory:
    return store.add("acme", [MemoryDraft("ann", text)], vector(len(text))[np.newaxis, :])[0].memory


def revise(store: ChromaMemories, memory: Memory, text: str) -> bool:
    revised = replace(memory, text=text, version=memory.version + 1, updated_at=datetime.now(UTC))
    return store.revise("acme", memory, revised, vector(len(text)))


def current(store: ChromaMemories, memory: Memory) -> Memory:
    found = store.get("acme", memory.id)
    assert found is not None
    return found


def texts(store: ChromaMemories) -> set[str]:
    return {memory.text for memory in store.view("acme", MemoryScope("ann")).scan(None)}


@pytest.fixture
def relay(chroma_server: ChromaServer) -> Iterator[Gate]:
    with gate(chroma_server.port) as relay:
        yield relay


@pytest.fixture
def connect(chroma_database: str) -> Iterator[Open]:
    with ExitStack() as opened:

        def open_one(port: int) -> Connection:
            config = ChromaConfig(host="127.0.0.1", port=port, database=chroma_database)
            connection = Connection(partial(http.connect, config), patience=config.patience)
            opened.callback(connection.close)
            return connection

        yield open_one


def memories(connection: Connection) -> ChromaMemories:
    return open_memories(connection, IDENTITY)


@pytest.fixture
def ours(relay: Gate, connect: Open) -> ChromaMemories:
    store = memories(connect(relay.port))
    add(store, "the first, which takes a slot")
    return store


@pytest.fixture
def other(chroma_server: ChromaServer, connect: Open) -> ChromaMemories:
    return memories(connect(chroma_server.port))


@pytest.fixture
def reader(chroma_server: ChromaServer, connect: Open) -> ChromaMemories:
    return memories(connect(chroma_server.port))


def test_a_change_whose_answer_is_lost_never_undoes_a_later_one(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    memory = add(ours, "tea")
    relay.dropped, relay.hang_ups = "/update", 1
    relay.meanwhile = lambda: revise(other, current(other, memory), "water")

    assert revise(ours, memory, "coffee")

    assert (current(other, memory).text, current(other, memory).version) == ("water", 3)
    assert [old.text for old in other.versions("acme", current(other, memory))] == ["tea", "coffee"]


def test_a_change_whose_answer_is_lost_succeeds_if_it_was_made(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    memory = add(ours, "tea")
    relay.dropped, relay.hang_ups = "/update", 1

    assert revise(ours, memory, "coffee")

    assert current(other, memory).text == "coffee"


def test_a_change_that_never_arrived_is_not_acknowledged(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    memory = add(ours, "tea")
    relay.dropped, relay.swallows = "/update", 1

    with pytest.raises(StoreUnavailable):
        revise(ours, memory, "coffee")

    assert current(other, memory) == memory


def test_a_change_whose_memory_is_deleted_before_its_answer_is_lost_is_none(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    memory = add(ours, "tea")
    relay.dropped, relay.hang_ups = "/update", 1
    relay.meanwhile = lambda: other.delete("acme", memory.id)

    assert not revise(ours, memory, "coffee")

    assert other.get("acme", memory.id) is None


def test_a_memory_deleted_since_stays_deleted_when_the_answer_to_its_addition_is_lost(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories, reader: ChromaMemories
) -> None:
    before = texts(reader)
    relay.dropped, relay.hang_ups = "/add", 1

    def delete_it() -> None:
        (added,) = (
            memory
            for memory in reader.view("acme", MemoryScope("ann")).scan(None)
            if memory.text == "tea"
        )
        other.delete("acme", added.id)
        assert texts(reader) == before

    relay.meanwhile = delete_it

    add(ours, "tea")

    assert texts(reader) == before
    assert texts(ours) == before


def test_an_addition_that_never_arrived_is_made_under_a_new_name(
    relay: Gate, ours: ChromaMemories, reader: ChromaMemories
) -> None:
    before = texts(reader)
    relay.dropped, relay.swallows = "/add", 1

    stored = ours.add("acme", [MemoryDraft("ann", "tea")], vector(3)[np.newaxis, :])

    assert stored[0].is_new
    assert texts(reader) == before | {"tea"}


def test_of_two_that_add_a_text_one_is_first_although_its_answer_is_lost(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    draft = [MemoryDraft("ann", "tea")]
    relay.dropped, relay.hang_ups = "/add", 1
    told: list[bool] = []
    relay.meanwhile = lambda: told.append(
        other.add("acme", draft, vector(3)[np.newaxis, :])[0].is_new
    )

    told.append(ours.add("acme", draft, vector(3)[np.newaxis, :])[0].is_new)

    assert told == [False, True]


def test_the_first_write_of_a_process_survives_lost_answers(
    relay: Gate, connect: Open, reader: ChromaMemories
) -> None:
    store = memories(connect(relay.port))
    add(store, "tea")
    store = memories(connect(relay.port))
    relay.dropped, relay.hang_ups = "/add", 2

    add(store, "coffee")

    assert texts(reader) == {"tea", "coffee"}


def test_a_memory_added_anew_outlives_the_deletion_whose_answer_is_lost(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories, reader: ChromaMemories
) -> None:
    before = texts(reader)
    memory = add(ours, "tea")
    relay.dropped, relay.hang_ups = "/delete", 1

    def add_it_again() -> None:
        assert texts(reader) == before
        add(other, "tea")
        assert texts(reader) == before | {"tea"}

    relay.meanwhile = add_it_again

    assert ours.delete("acme", memory.id)

    assert texts(reader) == before | {"tea"}
    assert other.get("acme", memory.id) is not None


def test_a_deletion_that_never_arrived_is_not_acknowledged(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    memory = add(ours, "tea")
    relay.dropped, relay.swallows = "/delete", 1

    with pytest.raises(StoreUnavailable):
        ours.delete("acme", memory.id)

    assert other.get("acme", memory.id) == memory
    assert ours.delete("acme", memory.id)


def test_a_deletion_that_never_arrived_is_not_taken_for_made_if_the_memory_was_changed_meanwhile(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    memory = add(ours, "tea")
    relay.dropped, relay.swallows = "/delete", 1
    relay.meanwhile = lambda: revise(other, memory, "coffee")

    with pytest.raises(StoreUnavailable):
        ours.delete("acme", memory.id)

    left = other.get("acme", memory.id)
    assert left is not None
    assert left.text == "coffee"


def test_a_claim_whose_answer_is_lost_belongs_to_who_came_first(
    relay: Gate, ours: ChromaMemories, other: ChromaMemories
) -> None:
    relay.dropped, relay.swallows = "/add", 1
    relay.meanwhile = lambda: other.claim("acme", "key", "theirs", "ann")

    assert ours.claim("acme", "key", "mine", "ann").fingerprint == "theirs"


def test_a_claim_whose_answer_is_lost_is_ours_if_it_arrived(
    relay: Gate, ours: ChromaMemories
) -> None:
    relay.dropped, relay.hang_ups = "/add", 1

    assert ours.claim("acme", "key", "mine", "ann").fingerprint == "mine"


def test_a_claim_that_never_arrived_is_not_acknowledged(relay: Gate, ours: ChromaMemories) -> None:
    relay.dropped, relay.swallows = "/add", 1

    with pytest.raises(StoreUnavailable):
        ours.claim("acme", "key", "mine", "ann")


def begun(store: ChromaDocuments, text: str) -> Revision:
    now = datetime.now(UTC)
    document = Document(
        "guide", "manuals", "", None, {}, 0, 0, len(text), text, created_at=now, updated_at=now
    )
    revision = store.begin("acme", document, text)
    revision.add([Chunk(0, 0, len(text), text)], vector(1)[np.newaxis, :])
    return revision


@pytest.fixture
def our_shelf(relay: Gate, connect: Open) -> ChromaDocuments:
    store = ChromaDocuments(connect(relay.port), IDENTITY, lambda: datetime.now(UTC))
    begun(store, "one").commit()
    return store


@pytest.fixture
def other_shelf(chroma_server: ChromaServer, connect: Open) -> ChromaDocuments:
    return ChromaDocuments(connect(chroma_server.port), IDENTITY, lambda: datetime.now(UTC))


def test_a_commit_whose_answer_is_lost_never_undoes_a_later_one(
    relay: Gate, our_shelf: ChromaDocuments, other_shelf: ChromaDocuments
) -> None:
    revision = begun(our_shelf, "two")
    relay.dropped, relay.hang_ups = "/upsert", 1
    relay.meanwhile = lambda: begun(other_shelf, "three").commit()

    with suppress(StoreUnavailable):
        revision.commit()

    found = other_shelf.get("acme", "manuals", "guide")
    assert found is not None
    assert (found.sha256, found.revision) == ("three", 3)
    assert other_shelf.text("acme", "manuals", "guide") == "three"


def test_a_commit_whose_answer_is_lost_succeeds_if_it_was_made(
    relay: Gate, our_shelf: ChromaDocuments
) -> None:
    revision = begun(our_shelf, "two")
    relay.dropped, relay.hang_ups = "/upsert", 1

    assert revision.commit().revision == 2


def test_a_commit_that_never_arrived_is_not_acknowledged(
    relay: Gate, our_shelf: ChromaDocuments
) -> None:
    revision = begun(our_shelf, "two")
    relay.dropped, relay.swallows = "/upsert", 1

    with pytest.raises(StoreUnavailable):
        revision.commit()

    assert our_shelf.text("acme", "manuals", "guide") == "one"
