"""After another embedder was configured, nothing is mixed and nothing is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from memapp.chroma import reembedding
from memapp.chroma.cache_budget import Budget
from memapp.chroma.connection import Connection
from memapp.chroma.memories import ChromaMemories
from memapp.chroma.reembedding import reembed
from memapp.errors import EmbedderMismatch
from memapp.records import EmbedderIdentity, MemoryDraft, MemoryScope, Vector, Vectors
from tests.chroma.memory_stores import open_memories

ANN = MemoryScope("ann")


class Counting:
    """Embeds a text by its letters; two of them differ in which letters they count."""

    def __init__(self, name: str, letters: str) -> None:
        self.letters = letters
        self.identity = EmbedderIdentity("test", name, len(letters), "1")

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        rows = [[1 + text.count(letter) for letter in self.letters] for text in texts]
        vectors = np.asarray(rows, dtype=np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    def embed_query(self, text: str) -> Vector:
        return np.asarray(self.embed_documents([text])[0])


OLD, NEW = Counting("old", "abcd"), Counting("new", "abcdefgh")
TEXTS = ["aaaa", "bbbb", "cc", "gggg", "eeee ffff"]


def store_of(connection: Connection, embedder: Counting) -> ChromaMemories:
    return open_memories(connection, embedder.identity, shards=2, cache=Budget(0))


def wording(_collection: str, _fields: Mapping[str, Any], text: str) -> str:
    return text


def fill(connection: Connection) -> None:
    store = store_of(connection, OLD)
    drafts = [MemoryDraft(user, text) for text in TEXTS for user in ("ann", "bob")]
    vectors = OLD.embed_documents([draft.text for draft in drafts])
    memory = store.add("acme", drafts, vectors)[0].memory
    store.revise("acme", memory, replace(memory, metadata={"n": 1}, version=2), None)


def nearest(store: ChromaMemories, text: str) -> str:
    return store.view("acme", ANN).nearest(NEW.embed_query(text), 1, None)[0].memory.text


def test_another_embedder_is_refused_for_reads_and_writes(connection: Connection) -> None:
    fill(connection)
    store = store_of(connection, NEW)

    with pytest.raises(EmbedderMismatch, match="memapp reembed"):
        store.view("acme", ANN)
    with pytest.raises(EmbedderMismatch, match="memapp reembed"):
        store.add("acme", [MemoryDraft("ann", "x")], NEW.embed_documents(["x"]))


def test_memories_are_counted_whatever_embedder_they_are_of(connection: Connection) -> None:
    fill(connection)
    before = store_of(connection, OLD).count("acme")
    assert before > 0
    assert store_of(connection, NEW).count("acme") == before


def test_all_is_found_by_the_new_embedder_and_nothing_else_has_changed(
    connection: Connection,
) -> None:
    fill(connection)
    before = {m.id: m for m in store_of(connection, OLD).view("acme", ANN).scan(None)}

    steps = list(reembed(connection, NEW, wording))

    store = store_of(connection, NEW)
    after = store.view("acme", ANN).scan(None)
    assert all(step.done == step.total for step in steps if step.is_last)
    assert {memory.id: memory for memory in after} == before
    assert nearest(store, "gggg") == "gggg"
    changed = next(memory for memory in after if memory.metadata)
    assert [old.version for old in store.versions("acme", changed)] == [1]
    assert not [name for name in connection.names() if name.startswith(reembedding.PREFIX)]
    again = list(reembed(connection, NEW, wording))
    assert {step.collection for step in again} == {step.collection for step in steps}
    assert all(step.was_right for step in again)


def test_only_what_has_a_text_gets_its_vector_and_the_rest_each_another(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection)
    embedded: list[str] = []
    real = NEW.embed_documents

    def embed(texts: Sequence[str]) -> Vectors:
        embedded.extend(texts)
        return real(texts)

    monkeypatch.setattr(NEW, "embed_documents", embed)
    list(reembed(connection, NEW, wording))

    assert sorted(embedded) == sorted(TEXTS * 2)
    for name in ("memories.acme.000", "memories.acme.001"):
        found = connection.ensure(name, {}).get(include=("metadatas", "embeddings"))
        others = [row for row, fields in enumerate(found.metadatas) if "scope" not in fields]
        assert found.vectors is not None
        assert len(np.unique(found.vectors[others], axis=0)) == len(others) > 1


def test_a_run_that_is_cut_off_is_finished_by_the_next(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection)
    monkeypatch.setattr(reembedding, "BATCH", 3)

    list(islice(reembed(connection, NEW, wording), 1))
    list(reembed(connection, NEW, wording))

    assert len(store_of(connection, NEW).view("acme", ANN).scan(None)) == 5


def test_a_run_that_is_cut_off_between_dropping_and_renaming_loses_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection)

    def cut_off(_self: Connection, _old: str, _new: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "rename", cut_off)
        with pytest.raises(KeyboardInterrupt):
            list(reembed(connection, NEW, wording))
    list(reembed(connection, NEW, wording))

    store = store_of(connection, NEW)
    assert len(store.view("acme", ANN).scan(None)) == 5
    assert nearest(store, "gggg") == "gggg"
