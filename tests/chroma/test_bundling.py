"""What memories and changes look like in Chroma."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from memapp.chroma.bundling import KEY, MOMENT, TIMES, bundled, unbundled
from memapp.chroma.cache_budget import Budget
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.memories import ChromaMemories
from memapp.embedders.hashing import HashEmbedder
from memapp.filters import Comparison
from memapp.records import Memory, MemoryDraft, MemoryScope
from tests.chroma.memory_stores import open_memories

EMBEDDER = HashEmbedder()


def open_store(connection: Connection) -> ChromaMemories:
    return open_memories(connection, EMBEDDER.identity)


def add(store: ChromaMemories, text: str) -> Memory:
    draft = MemoryDraft("ann", text, metadata={"topic": "tea", "tags": ["a"]})
    return store.add("acme", [draft], EMBEDDER.embed_documents([text]))[0].memory


def raw(connection: Connection) -> dict[str, tuple[Mapping[str, Any], str | None]]:
    shard = connection.run(lambda session: session.client.get_collection("memories.acme.000"))
    found = shard.get(include=["metadatas", "documents"])
    assert found["metadatas"] is not None
    assert found["documents"] is not None
    rows = zip(found["metadatas"], found["documents"], strict=True)
    return dict(zip(found["ids"], rows, strict=True))


def test_a_memory_is_kept_under_the_keys_that_searches_filter_by(connection: Connection) -> None:
    memory = add(open_store(connection), "ann drinks tea")
    fields, text = raw(connection)[memory.id]
    assert set(fields) == {"scope", MOMENT, "x.topic", KEY}
    assert text == memory.text


def test_a_change_is_kept_under_three_keys_and_without_a_text(connection: Connection) -> None:
    add(open_store(connection), "ann drinks tea")
    changes = [row for one, row in raw(connection).items() if one.startswith("c.")]
    assert [(set(fields), text) for fields, text in changes] == [({"kind", "change_of", KEY}, None)]


@pytest.mark.parametrize(
    "fields",
    [
        {"scope": "ann", "version": 3, "digest": "d", "token": "t", "timed": False, "claim": "c"},
        {"scope": "ann", "version": 1, "metadata": '{"a": "\\u00e9\\ud83d"}', "x.digest": "x"},
        {"kind": "change", "change_of": "ann", "writer": "w", "number": 9, "memories": "", "at": 7},
        {"kind": "version", "owner": "ann", "version": 2, "token": "t"},
        {"scope": "ann", "version": 1, **dict.fromkeys(TIMES, 5)},
        {"scope": "ann", "version": 2, "created": 5, "updated": 6, "occurred": 5},
        {"attempt": "a", "chunks": 4},
        {},
    ],
)
def test_metadata_comes_back_as_it_was(fields: Mapping[str, Any]) -> None:
    assert unbundled(bundled(fields)) == fields


@pytest.mark.parametrize(("former", "later"), [((5, 5, 5), (5, 6, 5)), ((5, 6, 5), (5, 5, 5))])
def test_what_is_written_over_a_record_leaves_none_of_its_times(
    former: tuple[int, ...], later: tuple[int, ...]
) -> None:
    before, after = ({"scope": "ann", **dict(zip(TIMES, t, strict=True))} for t in (former, later))
    written = {**bundled(before), **bundled(after, replaces=True)}
    kept = {name: value for name, value in written.items() if value is not None}
    assert kept == bundled(after)


def test_a_memory_is_found_by_each_of_its_times_before_and_after_it_is_changed(
    connection: Connection,
) -> None:
    store = open_store(connection)
    memory = add(store, "ann drinks tea")
    later = memory.updated_at + timedelta(hours=1)
    revised = replace(memory, version=2, updated_at=later, occurred_at=later)

    def found(field: str, moment: datetime) -> bool:
        reader = open_memories(connection, EMBEDDER.identity, cache=Budget(0))
        asked = Comparison(field, "eq", moment)
        return bool(reader.view("acme", MemoryScope("ann")).scan(asked))

    for field in ("created_at", "updated_at", "occurred_at"):
        assert found(field, memory.created_at)
        assert not found(field, later)
    assert store.revise("acme", memory, revised, None)
    assert found("created_at", memory.created_at)
    for field in ("updated_at", "occurred_at"):
        assert found(field, later)
        assert not found(field, memory.created_at)


def test_a_memory_that_is_changed_while_it_is_being_deleted_is_deleted(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = open_store(connection), open_store(connection)
    memory = add(store, "ann drinks tea")
    delete = Collection.delete

    def changed_first(shard: Collection, ids: Sequence[str], **arguments: Any) -> None:
        if memory.id in ids:
            later = memory.updated_at + timedelta(hours=1)
            other.revise("acme", memory, replace(memory, version=2, updated_at=later), None)
        delete(shard, ids, **arguments)

    monkeypatch.setattr(Collection, "delete", changed_first)
    assert store.delete("acme", memory.id)
    assert store.get("acme", memory.id) is None


def test_records_without_text_come_back_with_an_empty_one(connection: Connection) -> None:
    shelf: Collection = connection.ensure("shelf", {"kind": "shelf"})
    shelf.add(["a"], np.eye(1, 8, dtype=np.float32), [{"n": 1}], [""])
    assert shelf.get(ids=["a"], include=["documents"]).documents == [""]
