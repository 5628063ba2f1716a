"""Searches of several processes that go together find what each would find alone."""

import secrets
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from memapp.chroma.cache_budget import Budget
from memapp.chroma.collection import Collection, Records
from memapp.chroma.memories import ChromaMemories
from memapp.embedders.hashing import HashEmbedder
from memapp.records import MemoryDraft, MemoryScope
from tests.chroma.conftest import Connect
from tests.chroma.memory_stores import open_memories

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shares errands on Linux alone")

EMBEDDER = HashEmbedder()
ROUNDS = 12
MANY = 40
"""More than are found without those of others among them."""

Open = Callable[[], ChromaMemories]


@pytest.fixture
def open_store(connect: Connect) -> Iterator[Open]:
    """Open stores of one company that keep nobody, as if each were a process."""
    company = secrets.token_hex(8)
    opened: list[ChromaMemories] = []

    def open_one() -> ChromaMemories:
        opened.append(open_memories(connect(), EMBEDDER.identity, cache=Budget(0), company=company))
        return opened[-1]

    yield open_one
    for store in opened:
        store._errands.close()
        store._reads.close()


@pytest.fixture
def widths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many searches each query of Chroma answers."""
    noted: list[int] = []
    real = Collection.query_many

    def query(self: Collection, vectors: Any, **arguments: Any) -> list[Records]:
        noted.append(len(vectors))
        return real(self, vectors, **arguments)

    monkeypatch.setattr(Collection, "query_many", query)
    return noted


def converse(store: ChromaMemories, user: str, name: str) -> list[str]:
    """Add memories of a user and search after each; return what was missed, or another's."""
    wrong = []
    for number in range(ROUNDS):
        text = f"{user} {name} {number}"
        vector = EMBEDDER.embed_documents([text])
        session = "odd" if number % 2 else "even"
        store.add("acme", [MemoryDraft(user, text, session_id=session)], vector)
        for scope in (MemoryScope(user), MemoryScope(user, session_id=session)):
            view = store.view("acme", scope)
            found = [near.memory for near in view.nearest(vector[0], MANY, None)]
            if text not in {memory.text for memory in found}:
                wrong.append(f"{text} is missing")
            wrong += [memory.text for memory in found if memory.user_id != user]
    return wrong


def test_each_finds_what_was_acknowledged_before_and_nothing_of_others(
    open_store: Open, widths: list[int]
) -> None:
    stores = [open_store() for _ in range(3)]
    store_of = [(stores[n % 3], "ann" if n % 4 else "bob", f"talk{n}") for n in range(12)]
    with ThreadPoolExecutor(len(store_of)) as threads:
        wrong = [
            fault
            for faults in threads.map(lambda one: converse(*one), store_of)
            for fault in faults
        ]

    assert wrong == []
    assert max(widths) > 1


def test_a_search_of_one_client_alone_goes_alone(open_store: Open, widths: list[int]) -> None:
    store = open_store()
    converse(store, "ann", "talk")

    assert set(widths) == {1}
    assert not store._reads._calls._lanes


def test_vectors_of_searches_that_go_together_are_not_mixed_up(open_store: Open) -> None:
    stores = [open_store() for _ in range(2)]
    texts = [f"word{n}" for n in range(40)]
    vectors = np.eye(40, EMBEDDER.identity.dimensions, dtype=np.float32)
    stores[0].add("acme", [MemoryDraft("ann", text) for text in texts], vectors)

    def nearest(number: int) -> str:
        view = stores[number % 2].view("acme", MemoryScope("ann"))
        return view.nearest(vectors[number % 40], 1, None)[0].memory.text

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(nearest, range(400)))

    assert found == texts * 10
