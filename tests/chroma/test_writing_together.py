"""Stores of one company let one of them add for all."""

import secrets
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from memapp import errands
from memapp.backends import http
from memapp.chroma import memory_layout as layout
from memapp.chroma.change_log import read_slots
from memapp.chroma.connection import Connection
from memapp.chroma.memories import ChromaMemories
from memapp.chroma.memory_shard import Addition, MemoryShard
from memapp.chroma.memory_shelves import MemoryShelves
from memapp.chroma.recent_changes import RecentChanges
from memapp.chroma_config import ChromaConfig
from memapp.embedders.hashing import HashEmbedder
from memapp.errors import StoreUnavailable
from memapp.records import MemoryDraft, MemoryScope
from tests.chroma.conftest import Connect
from tests.chroma.memory_stores import now, open_memories
from tests.chroma_server import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shares errands on Linux alone")

EMBEDDER = HashEmbedder()
VECTOR = EMBEDDER.embed_documents(["tea"])[0]

Open = Callable[..., ChromaMemories]


@pytest.fixture
def open_store(connect: Connect) -> Iterator[Open]:
    """Open stores of one company, as if each were a process."""
    company = secrets.token_hex(8)
    opened: list[ChromaMemories] = []

    def open_one(connection: Connection | None = None) -> ChromaMemories:
        opened.append(open_memories(connection or connect(), EMBEDDER.identity, company=company))
        return opened[-1]

    yield open_one
    for store in opened:
        store._errands.close()
        store._reads.close()


def add(store: ChromaMemories, *texts: str) -> list[bool]:
    drafts = [MemoryDraft("ann", text) for text in texts]
    return [one.is_new for one in store.add("acme", drafts, np.stack([VECTOR] * len(texts)))]


def texts(store: ChromaMemories) -> set[str]:
    found = store.view("acme", MemoryScope("ann")).nearest(VECTOR, 1000, None)
    return {near.memory.text for near in found}


def test_additions_of_all_are_made_by_one_writer(
    open_store: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "LISTENS", 10.0)
    stores = [open_store() for _ in range(3)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda n: add(stores[n % 3], f"tea {n}"), range(30)))

    shard = connect().find(layout.shard_name("acme", 0))
    assert shard is not None
    assert len(read_slots(shard)) == 1
    expected = {f"tea {n}" for n in range(30)}
    assert [texts(store) for store in stores] == [expected] * 3


def test_many_at_once_are_added_by_whoever_was_asked(open_store: Open, connect: Connect) -> None:
    first, second = open_store(), open_store()
    add(first, "tea")

    assert add(second, *(f"tea {n}" for n in range(17))) == [True] * 17

    shard = connect().find(layout.shard_name("acme", 0))
    assert shard is not None
    assert len(read_slots(shard)) == 2


def test_what_one_has_added_another_does_not_add_again(open_store: Open) -> None:
    first, second = open_store(), open_store()

    assert [add(first, "tea"), add(second, "tea"), add(second, "tea", "milk")] == [
        [True],
        [False],
        [False, True],
    ]


def test_a_fault_of_the_one_who_writes_is_told_to_whoever_asked(open_store: Open) -> None:
    nobody = ChromaConfig(port=free_port())
    connection = Connection(partial(http.connect, nobody), patience=nobody.patience)
    open_store(connection)._errands._takes_lead()
    asker = open_store()

    with pytest.raises(StoreUnavailable):
        add(asker, "tea")


def test_an_addition_made_twice_is_new_both_times(connect: Connect) -> None:
    """The one who was asked may have died after the write, and before it could tell."""
    draft = MemoryDraft("ann", "tea")
    addition = Addition(draft, VECTOR, layout.text_digest(draft))

    outcomes = []
    for _ in range(2):
        shelves = MemoryShelves(connect(), EMBEDDER.identity, 1)
        shard = MemoryShard(
            partial(shelves.shard, "acme", 0),
            0,
            now,
            EMBEDDER.identity.dimensions,
            marks=None,
            turnstile=None,
            recent=RecentChanges(),
        )
        outcomes += shard.add([addition])

    assert [one.is_new for one in outcomes] == [True, True]
    assert outcomes[0].memory == outcomes[1].memory
