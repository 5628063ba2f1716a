"""What the document store over Chroma promises beyond its port: crashes, races, embedders."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest

from memapp.backends import http
from memapp.chroma import document_shelf
from memapp.chroma.collection import Collection, Records
from memapp.chroma.connection import Connection
from memapp.chroma.document_layout import document_key
from memapp.chroma.document_records import embedded_text
from memapp.chroma.document_revision import MOST_FORMER, ChromaRevision
from memapp.chroma.document_shelf import Shelf
from memapp.chroma.documents import GRACE, ChromaDocuments
from memapp.chroma.head_counts import HeadCounts
from memapp.chroma_config import ChromaConfig
from memapp.errors import Conflict, EmbedderMismatch
from memapp.ranking import passage_embedding_text
from memapp.records import Chunk, CollectionSummary, Document, EmbedderIdentity, Vectors
from tests.chroma_server import ChromaServer

IDENTITY = EmbedderIdentity("test", "axes", 8, "1")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUERY = np.eye(8, dtype=np.float32)[0]


class SettableClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def store(connection: Connection, clock: SettableClock) -> ChromaDocuments:
    return ChromaDocuments(connection, IDENTITY, clock)


def document(document_id: str = "doc", **fields: Any) -> Document:
    made = Document(document_id, "kb", "Title", None, {}, 0, 0, 0, "", START, START)
    return replace(made, **fields)


def vectors(count: int) -> Vectors:
    """Return vectors of which the first is nearest to `QUERY`."""
    made = np.zeros((count, 8), dtype=np.float32)
    made[:, 0] = 1
    made[:, 1] = np.arange(count) / 100
    rows: Vectors = made / np.linalg.norm(made, axis=1, keepdims=True)
    return rows


def write(store: ChromaDocuments, words: Sequence[str], *, batch: int = 99) -> Any:
    """Begin a revision whose chunks are the given words, and store them all."""
    text = " ".join(words)
    revision = store.begin("acme", document(sha256=text), text)
    starts = [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]
    chunks = [
        Chunk(i, start, start + len(word), word)
        for i, (start, word) in enumerate(zip(starts, words, strict=True))
    ]
    for first in range(0, len(chunks), batch):
        revision.add(chunks[first : first + batch], vectors(len(chunks))[first : first + batch])
    return revision


def seen(store: ChromaDocuments, limit: int = 99) -> list[str]:
    return [near.chunk.text for near in store.nearest("acme", "kb", QUERY, limit, None)]


def records(connection: Connection) -> int:
    chunks = connection.find("doc.acme.kb")
    return 0 if chunks is None else chunks.count()


def chunk_id(connection: Connection, text: str) -> str:
    """Return the id of the only chunk that has this text."""
    chunks = connection.find("doc.acme.kb")
    assert chunks is not None
    (found,) = chunks.get(where_document={"$contains": text}).ids
    return found


def test_another_embedder_is_refused_with_the_command_that_re_embeds(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    write(store, ["one"]).commit()
    other = ChromaDocuments(connection, replace(IDENTITY, version="2"), clock)

    for call in (
        lambda: other.nearest("acme", "kb", QUERY, 1, None),
        lambda: other.containing("acme", "kb", ["one"], QUERY, 1, condition=None),
        lambda: other.begin("acme", document(), "two"),
    ):
        with pytest.raises(EmbedderMismatch, match="memapp reembed"):
            call()


def test_collections_are_listed_without_reading_the_documents(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["one", "two"]).commit()
    parts: list[str] = []
    read = Collection.get

    def noting(self: Collection, **arguments: Any) -> Records:
        parts.extend(arguments.get("include", ()))
        return read(self, **arguments)

    monkeypatch.setattr(Collection, "get", noting)

    assert store.collections("acme") == [CollectionSummary("kb", 1, 2)]
    assert parts == ["metadatas"]


def test_what_a_dead_ingest_left_is_invisible_and_swept_when_it_is_surely_dead(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    write(store, ["one", "two"]).commit()
    clock.move(hours=1)
    write(store, ["three", "four", "five"])

    assert seen(store) == ["one", "two"]
    clock.now += GRACE
    assert store.sweep(clock.now) == 0
    clock.move(seconds=1)
    assert store.sweep(clock.now) == 3
    assert records(connection) == 2
    assert seen(store) == ["one", "two"]


def test_an_ingest_that_keeps_writing_is_never_swept(
    store: ChromaDocuments, clock: SettableClock
) -> None:
    words = [f"w{n}" for n in range(9)]
    revision = store.begin("acme", document(), " ".join(words))
    for i, word in enumerate(words):
        revision.add([Chunk(i, 3 * i, 3 * i + 2, word)], vectors(9)[i : i + 1])
        clock.move(minutes=7)
        store.sweep(clock.now)

    revision.commit()

    assert seen(store) == words


def test_an_ingest_that_paused_so_long_that_it_may_be_swept_is_refused(
    store: ChromaDocuments, clock: SettableClock
) -> None:
    write(store, ["old"]).commit()
    revision = write(store, ["one"])
    clock.move(minutes=8)

    with pytest.raises(Conflict, match="paused"):
        revision.commit()

    assert seen(store) == ["old"]


def test_a_revision_whose_predecessor_is_fresh_leaves_it_to_the_sweep(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    write(store, ["one", "two"]).commit()
    clock.move(minutes=1)
    write(store, ["three"]).commit()

    assert records(connection) == 3
    assert seen(store) == ["three"]
    clock.move(minutes=16)
    assert store.sweep(clock.now) == 2
    assert records(connection) == 1


def test_revisions_that_were_fresh_when_they_were_replaced_are_removed_by_later_ones(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    counts = []
    for word in ("one", "two", "three", "four", "five"):
        write(store, [word]).commit()
        counts.append(records(connection))
        clock.move(seconds=80)

    assert seen(store) == ["five"]
    assert counts == [1, 2, 2, 2, 2]


def test_no_more_than_so_many_former_revisions_are_remembered(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    for number in range(MOST_FORMER + 5):
        write(store, [f"text {number}"]).commit()
    clock.move(hours=1)
    write(store, ["last"]).commit()

    # The sweep finds the others.
    assert records(connection) == 1 + 4
    assert store.sweep(clock.now) == 4
    assert seen(store) == ["last"]


def test_a_deletion_takes_the_revisions_before_along(
    store: ChromaDocuments, connection: Connection
) -> None:
    for word in ("one", "two", "three"):
        write(store, [word]).commit()

    assert store.delete("acme", "kb", "doc")
    assert records(connection) == 0


def test_a_commit_that_is_repeated_after_another_one_still_shows_a_whole_revision(
    store: ChromaDocuments, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["old"]).commit()
    first, second = write(store, ["one", "two"]), write(store, ["three", "four"])
    real = Shelf.write_head

    def broken_connection(shelf: Shelf, head: Any) -> None:
        # The answer is lost; before the repetition, somebody else commits.
        real(shelf, head)
        monkeypatch.setattr(Shelf, "write_head", real)
        clock.move(seconds=1)
        second.commit()
        real(shelf, head)

    monkeypatch.setattr(Shelf, "write_head", broken_connection)
    first.commit()

    assert seen(store) == ["one", "two"]
    assert store.text("acme", "kb", "doc") == "one two"


def after_each_call(
    method: Callable[..., Records], action: Callable[[], Any]
) -> Callable[..., Records]:
    """Return `method`, doing something right after each call."""

    def wrapped(*args: Any, **kwargs: Any) -> Records:
        result = method(*args, **kwargs)
        action()
        return result

    return wrapped


def after_the_first_call(
    method: Callable[..., Records], action: Callable[[], Any]
) -> Callable[..., Records]:
    """Return `method`, doing something right after its first call."""
    actions = [action]
    return after_each_call(method, lambda: actions and actions.pop()())


@pytest.mark.parametrize("age", [0, 1])
def test_a_revision_that_becomes_current_after_the_query_is_seen_whole(
    store: ChromaDocuments, clock: SettableClock, monkeypatch: pytest.MonkeyPatch, age: int
) -> None:
    write(store, ["one", "two"]).commit()
    clock.move(hours=age)

    def replace_it() -> None:
        write(store, ["three", "four", "five"]).commit()

    monkeypatch.setattr(Collection, "query", after_the_first_call(Collection.query, replace_it))

    assert seen(store) == ["three", "four", "five"]


def half_written(store: ChromaDocuments) -> Callable[[], None]:
    """Write the first of a revision's two chunks; return what writes the other and commits."""
    revision = store.begin("acme", document(), "one two")
    revision.add([Chunk(0, 0, 3, "one")], vectors(2)[:1])

    def finish() -> None:
        revision.add([Chunk(1, 4, 7, "two")], vectors(2)[1:])
        revision.commit()

    return finish


def test_a_first_revision_that_is_half_written_at_the_query_is_seen_whole(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = half_written(store)
    monkeypatch.setattr(Collection, "query", after_the_first_call(Collection.query, finish))

    assert seen(store) == ["one", "two"]


@pytest.mark.parametrize("is_seen_long_before", [False, True])
def test_a_revision_that_is_finished_after_the_query_is_seen_whole_among_farther_ones(
    store: ChromaDocuments,
    monkeypatch: pytest.MonkeyPatch,
    is_seen_long_before: bool,  # noqa: FBT001
) -> None:
    others = store.begin("acme", document("others"), "far away")
    others.add([Chunk(0, 0, 3, "far"), Chunk(1, 4, 8, "away")], -vectors(2))
    others.commit()
    if is_seen_long_before:
        write(store, ["old"]).commit()
        assert seen(store, 2) == ["old", "away"]
    finish = half_written(store)
    monkeypatch.setattr(Collection, "query", after_the_first_call(Collection.query, finish))

    assert seen(store, 2) == ["one", "two"]


def test_what_was_seen_before_the_query_is_not_fetched_twice(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["one", "two"], batch=1).commit()
    seen(store)
    calls: list[None] = []
    monkeypatch.setattr(
        Collection, "query", after_each_call(Collection.query, lambda: calls.append(None))
    )

    assert seen(store) == ["one", "two"]
    assert len(calls) == 1


def test_what_chunks_hold_is_read_once(
    store: ChromaDocuments, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["one", "two"]).commit()
    seen(store, limit=2)
    read: list[str] = []
    real = Collection.get

    def get(collection: Collection, **conditions: Any) -> Records:
        if collection.name == "doc.acme.kb":
            read.extend(conditions.get("ids") or [])
        return real(collection, **conditions)

    monkeypatch.setattr(Collection, "get", get)

    assert seen(store, limit=2) == ["one", "two"]
    assert read == []

    write(store, ["three"]).commit()
    three = chunk_id(connection, "three")
    read.clear()

    assert seen(store, limit=1) == ["three"]
    assert read == [three]


def test_a_head_is_decoded_once(store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, ["one"]).commit()
    seen(store)

    def decode_head(*_: object) -> None:
        message = "it is known"
        raise AssertionError(message)

    monkeypatch.setattr(document_shelf, "decode_head", decode_head)

    assert seen(store) == ["one"]


def write_many(store: ChromaDocuments, word: str, numbers: Iterable[int]) -> None:
    """Write documents of one chunk each."""
    for number in numbers:
        text = f"{word}{number}"
        revision = store.begin("acme", document(f"doc{number}"), text)
        revision.add([Chunk(0, 0, len(text), text)], vectors(1))
        revision.commit()


def parts_read_of_heads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Return a list that will hold, for each read of heads, what was read beside their ids."""
    parts: list[tuple[str, ...]] = []
    real = Collection.get

    def get(collection: Collection, **conditions: Any) -> Records:
        if collection.name == "head.acme.kb" and conditions.get("ids") != []:
            parts.append(tuple(conditions.get("include", ())))
        return real(collection, **conditions)

    monkeypatch.setattr(Collection, "get", get)
    return parts


@pytest.mark.parametrize("count", [3, 20])
def test_of_heads_that_are_known_no_more_than_ids_are_read(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    write_many(store, "one", range(count))
    before = set(seen(store))
    parts = parts_read_of_heads(monkeypatch)

    assert set(seen(store)) == before == {f"one{number}" for number in range(count)}
    assert [part for part in parts if part] == []


def test_a_head_that_was_seen_to_be_fresh_is_not_doubted_again(
    store: ChromaDocuments, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_many(store, "one", range(3))
    assert len(seen(store)) == 3
    # What was overtaken so lately may have been found in place of what came after it.
    write_many(store, "two", [1])
    assert sorted(seen(store)) == ["one0", "one2", "two1"]
    queries = 0
    real = Collection.query

    def query(collection: Collection, *arguments: Any, **named: Any) -> Records:
        nonlocal queries
        queries += 1
        return real(collection, *arguments, **named)

    monkeypatch.setattr(Collection, "query", query)

    assert sorted(seen(store)) == ["one0", "one2", "two1"]
    assert queries == 1


def test_heads_are_read_by_id_where_there_are_very_many_others(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_many(store, "one", range(20))
    seen(store)
    parts = parts_read_of_heads(monkeypatch)
    monkeypatch.setattr(HeadCounts, "guess", lambda *_: 2001)

    assert len(seen(store)) == 20
    assert [bool(part) for part in parts] == [True]


def test_what_another_process_did_to_some_of_many_documents_is_seen(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    write_many(store, "one", range(23))
    seen(store)
    # As these are so fresh, and as the process that deletes dies half-way, their chunks stay.
    write_many(ChromaDocuments(connection, IDENTITY, clock), "two", [3])
    heads = connection.find("head.acme.kb")
    assert heads is not None
    heads.delete([document_key("doc5")])

    expected = {f"one{number}" for number in range(23) if number not in {3, 5}} | {"two3"}
    assert records(connection) == 24
    assert set(seen(store)) == expected
    assert set(seen(store)) == expected


def test_a_revision_that_is_replaced_and_removed_before_its_chunks_are_read_is_not_missed(
    store: ChromaDocuments,
    connection: Connection,
    clock: SettableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(store, ["one", "two"]).commit()
    clock.move(hours=1)
    revision = write(store, ["three"])
    reader = ChromaDocuments(connection, IDENTITY, clock)
    real = Shelf.heads_of

    def heads_of(shelf: Shelf, keys: Iterable[str]) -> Any:
        result = real(shelf, keys)
        monkeypatch.setattr(Shelf, "heads_of", real)
        revision.commit()
        return result

    monkeypatch.setattr(Shelf, "heads_of", heads_of)

    assert seen(reader) == ["three"]


def test_a_chunk_that_a_damaged_store_has_lost_does_not_hold_up_the_others(
    store: ChromaDocuments, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["one", "two"]).commit()
    lost = chunk_id(connection, "one")
    real = Collection.get
    calls: list[None] = []

    def get(collection: Collection, *, ids: Any = None, **conditions: Any) -> Records:
        there = None if ids is None else [one for one in ids if one != lost]
        return real(collection, ids=there, **conditions)

    monkeypatch.setattr(Collection, "get", get)
    monkeypatch.setattr(
        Collection, "query", after_each_call(Collection.query, lambda: calls.append(None))
    )

    assert seen(store) == ["two"]
    assert len(calls) == 2


def test_the_text_is_whole_when_the_revision_is_replaced_while_it_is_read(
    store: ChromaDocuments, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["one", "two"]).commit()
    clock.move(hours=1)
    revision = write(store, ["three"])
    real = Shelf.head
    calls: list[None] = []

    def head(shelf: Shelf, key: str) -> Any:
        result = real(shelf, key)
        calls.append(None)
        if len(calls) == 1:
            revision.commit()
        return result

    monkeypatch.setattr(Shelf, "head", head)

    assert store.text("acme", "kb", "doc") == "three"


def test_a_chunk_that_the_index_cannot_reach_is_found_where_all_are_asked_for(
    store: ChromaDocuments, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["one", "two", "three"]).commit()
    before = store.nearest("acme", "kb", QUERY, 9, None)
    real = Collection.query

    lost = chunk_id(connection, "two")

    def losing(collection: Collection, vector: Any, **conditions: Any) -> Records:
        found = real(collection, vector, **conditions)
        kept = [i for i, one in enumerate(found.ids) if one != lost]
        return Records(
            ids=[found.ids[i] for i in kept],
            metadatas=[],
            documents=[],
            vectors=None,
            distances=[found.distances[i] for i in kept],
        )

    monkeypatch.setattr(Collection, "query", losing)
    found = store.nearest("acme", "kb", QUERY, 9, None)

    assert [near.chunk for near in found] == [near.chunk for near in before]
    expected = [near.cosine for near in before]
    assert [near.cosine for near in found] == pytest.approx(expected, abs=1e-6)
    assert len(store.containing("acme", "kb", ["t"], QUERY, 9, condition=None)) == 2


def test_where_few_texts_match_they_are_looked_through_once(
    store: ChromaDocuments, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["code-1", "code-2", *["other"] * 150]).commit()
    clock.move(hours=1)
    patterns: list[Any] = []
    real_get, real_query = Collection.get, Collection.query

    def get(collection: Collection, **conditions: Any) -> Records:
        patterns.append(conditions.get("where_document"))
        return real_get(collection, **conditions)

    def query(collection: Collection, vector: Any, **conditions: Any) -> Records:
        patterns.append(conditions.get("where_document"))
        return real_query(collection, vector, **conditions)

    monkeypatch.setattr(Collection, "get", get)
    monkeypatch.setattr(Collection, "query", query)

    found = store.containing("acme", "kb", ["code"], QUERY, 99, condition=None)
    assert [near.chunk.text for near in found] == ["code-1", "code-2"]
    assert [near.cosine for near in found] == pytest.approx([1, 1], abs=1e-3)
    assert len(list(filter(None, patterns))) == 1

    assert len(store.containing("acme", "kb", ["code"], QUERY, 1, condition=None)) == 1
    assert len(store.containing("acme", "kb", ["other"], QUERY, 120, condition=None)) == 120
    assert len(store.containing("acme", "kb", ["other"], QUERY, 200, condition=None)) == 150


def test_leftovers_take_no_places_from_what_is_current(
    store: ChromaDocuments, clock: SettableClock
) -> None:
    revision = store.begin("acme", document(), "far")
    revision.add([Chunk(0, 0, 3, "far")], -vectors(1))
    revision.commit()
    write(store, [f"near{n}" for n in range(40)])

    assert seen(store, limit=1) == ["far"]
    found = store.containing("acme", "kb", ["near", "far"], QUERY, 1, condition=None)
    assert [near.chunk.text for near in found] == ["far"]


def test_a_drop_that_was_cut_off_is_finished_by_the_sweep(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    write(store, ["one", "two"]).commit()
    connection.drop("head.acme.kb")

    assert not store.exists("acme", "kb")
    assert seen(store) == []
    assert store.sweep(clock.now) == 2
    assert connection.names() == []


def before_call(monkeypatch: pytest.MonkeyPatch, number: int, action: Callable[[], Any]) -> None:
    """Do something right before one of the next calls of collections, counted from 0."""
    calls = count()

    def preceded(real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == number:
                action()
            return real(*args, **kwargs)

        return wrapped

    for name in ("get", "add", "upsert", "delete"):
        monkeypatch.setattr(Collection, name, preceded(getattr(Collection, name)))


@pytest.mark.parametrize("number", range(6))
def test_an_older_commit_never_removes_what_was_ingested_since_a_deletion(
    store: ChromaDocuments, clock: SettableClock, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write(store, ["old", "text"]).commit()
    clock.move(hours=1)
    revision = write(store, ["ours"])

    def delete_and_ingest() -> None:
        assert store.delete("acme", "kb", "doc")
        write(store, ["theirs"]).commit()

    before_call(monkeypatch, number, delete_and_ingest)
    with suppress(Conflict):
        revision.commit()

    # The first three calls of a commit end with the write that makes it current.
    assert store.text("acme", "kb", "doc") == ("ours" if number < 3 else "theirs")


@pytest.mark.parametrize("number", [3, 4, 5])
def test_a_revision_that_is_deleted_as_soon_as_it_is_current_was_stored(
    store: ChromaDocuments, clock: SettableClock, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write(store, ["old", "text"]).commit()
    clock.move(hours=1)
    revision = write(store, ["ours"])
    before_call(monkeypatch, number, lambda: store.delete("acme", "kb", "doc"))

    assert revision.commit().revision == 2
    assert store.get("acme", "kb", "doc") is None


def assert_refused(ours: ChromaRevision, store: ChromaDocuments) -> None:
    """See that a commit is told that another came in between, which stands."""
    with pytest.raises(Conflict) as caught:
        ours.commit()

    assert caught.value.code == "concurrent_change"
    assert store.text("acme", "kb", "doc") == "theirs"


def test_of_first_revisions_at_the_same_time_one_is_taken_and_the_other_refused(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = write(store, ["ours"]), write(store, ["theirs"])
    # We have seen that there is no such document.
    before_call(monkeypatch, 2, theirs.commit)

    assert_refused(ours, store)


def test_a_commit_that_is_overtaken_does_not_take_the_other_document_for_its_own(
    store: ChromaDocuments, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["old"]).commit()
    ours, theirs = write(store, ["ours"]), write(store, ["theirs"])
    before_call(monkeypatch, 3, theirs.commit)

    assert_refused(ours, store)
    assert records(connection) == 2


def test_a_commit_that_is_overtaken_by_the_same_content_was_stored(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = write(store, ["same"]), write(store, ["same"])
    before_call(monkeypatch, 2, theirs.commit)

    assert ours.commit() == store.get("acme", "kb", "doc")
    assert seen(store) == ["same"]


def test_a_deletion_spares_what_is_ingested_after_it_looked(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["old"]).commit()
    revision = write(store, ["new"])
    # As when its answer is lost, and it comes through once more and late.
    before_call(monkeypatch, 1, revision.commit)

    assert store.delete("acme", "kb", "doc")
    assert store.text("acme", "kb", "doc") == "new"


def test_a_commit_that_lost_its_chunks_spares_what_is_ingested_before_it_is_undone(
    store: ChromaDocuments, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = write(store, ["ours"])
    real = Shelf.write_head

    def write_head(shelf: Shelf, head: Any) -> None:
        monkeypatch.setattr(Shelf, "write_head", real)
        store.drop("acme", "kb")
        real(shelf, head)
        # After it is seen to be current, to be lost, and to be current still.
        before_call(monkeypatch, 3, write(store, ["theirs"]).commit)

    monkeypatch.setattr(Shelf, "write_head", write_head)

    with pytest.raises(Conflict, match="ingest it again"):
        revision.commit()

    assert store.text("acme", "kb", "doc") == "theirs"


@pytest.mark.parametrize("number", range(5))
def test_an_ingest_whose_collection_is_dropped_before_it_is_current_is_refused(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write(store, ["old"]).commit()
    before_call(monkeypatch, number, lambda: store.drop("acme", "kb"))

    with pytest.raises(Conflict) as caught:
        write(store, ["new"]).commit()

    assert caught.value.code == "collection_dropped"
    assert store.scan("acme", "kb") == []


@pytest.mark.parametrize("number", [5, 6])
def test_an_ingest_whose_collection_is_dropped_as_soon_as_it_is_current_was_stored(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write(store, ["old"]).commit()
    before_call(monkeypatch, number, lambda: store.drop("acme", "kb"))

    assert write(store, ["new"]).commit().revision == 2
    assert not store.exists("acme", "kb")


def test_a_batch_that_meets_a_collection_made_anew_for_another_embedder_is_refused(
    store: ChromaDocuments, connection: Connection, clock: SettableClock
) -> None:
    revision = store.begin("acme", document(), "one")
    store.drop("acme", "kb")
    other = ChromaDocuments(connection, replace(IDENTITY, version="2"), clock)
    write(other, ["theirs"]).commit()

    with pytest.raises(Conflict, match="ingest it again"):
        revision.add([Chunk(0, 0, 3, "one")], vectors(1))


def test_what_becomes_current_in_the_middle_of_a_drop_is_dropped_with_its_chunks(
    store: ChromaDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, ["old"]).commit()
    real = Connection.drop

    def drop(connection: Connection, name: str) -> bool:
        result = real(connection, name)
        monkeypatch.setattr(Connection, "drop", real)
        write(store, ["new"]).commit()
        return result

    monkeypatch.setattr(Connection, "drop", drop)

    assert store.drop("acme", "kb")
    assert not store.exists("acme", "kb")
    write_many(store, "one", [1])
    assert [one.id for one in store.scan("acme", "kb")] == ["doc1"]


def test_a_collection_made_anew_while_it_is_ingested_into_is_not_half_filled(
    store: ChromaDocuments,
) -> None:
    revision = store.begin("acme", document(), "one two")
    revision.add([Chunk(0, 0, 3, "one")], vectors(2)[:1])
    store.drop("acme", "kb")
    write(store, ["other"]).commit()
    revision.add([Chunk(1, 4, 7, "two")], vectors(2)[1:])

    with pytest.raises(Conflict, match="ingest it again"):
        revision.commit()

    assert seen(store) == ["other"]


def test_a_chunk_can_be_embedded_again_from_what_is_stored(
    store: ChromaDocuments, connection: Connection
) -> None:
    revision = store.begin("acme", document(title="T"), "one two")
    revision.add([Chunk(0, 0, 3, "one", "A > B"), Chunk(1, 4, 7, "two")], vectors(2))
    revision.commit()

    chunks = connection.find("doc.acme.kb")
    assert chunks is not None
    found = chunks.get(include=("metadatas", "documents"))
    again = {embedded_text(f, t) for f, t in zip(found.metadatas, found.documents, strict=True)}

    assert again == {
        passage_embedding_text("T", "A > B", "one"),
        passage_embedding_text("T", "", "two"),
    }


INGESTER = """
import sys
from datetime import UTC, datetime
from functools import partial
from itertools import count
from memapp.backends import http
from memapp.chroma.connection import Connection
from memapp.chroma.documents import ChromaDocuments
from memapp.chroma_config import ChromaConfig
from tests.chroma.test_documents import IDENTITY, write

config = ChromaConfig(host=sys.argv[1], port=int(sys.argv[2]), database=sys.argv[3])
connection = Connection(partial(http.connect, config), patience=config.patience)
store = ChromaDocuments(connection, IDENTITY, lambda: datetime.now(UTC))
number = int(sys.argv[4])
print("begins", flush=True)
while True:
    number += 1
    write(store, [f"r{number}"] * (5 + number % 3), batch=2).commit()
"""


def test_killed_at_any_point_an_ingest_leaves_one_whole_revision_and_no_trace(
    chroma_server: ChromaServer, chroma_database: str
) -> None:
    config = ChromaConfig(
        host=chroma_server.host, port=chroma_server.port, database=chroma_database
    )
    connection = Connection(partial(http.connect, config), patience=config.patience)
    store = ChromaDocuments(connection, IDENTITY, lambda: datetime.now(UTC))
    write(store, ["r0"] * 5).commit()
    address = [config.host, str(config.port), chroma_database]
    for round_ in range(5):
        ingester = subprocess.Popen(
            [sys.executable, "-c", INGESTER, *address, str(1000 * (round_ + 1))],
            stdout=subprocess.PIPE,
        )
        assert ingester.stdout is not None
        assert ingester.stdout.readline() == b"begins\n"
        deadline = time.monotonic() + random.uniform(0.05, 0.6)  # noqa: S311 - no secret
        while time.monotonic() < deadline:
            assert_one_whole_revision(store)
        ingester.send_signal(signal.SIGKILL)
        ingester.wait()
        ingester.stdout.close()
        assert_one_whole_revision(store)

    # The server may still be working on the last request of the process that was killed, and a
    # sweep with a false time has no patience. Behind writes of ours that request should be done.
    other = store.begin("acme", document("other"), "x")
    other.add([Chunk(0, 0, 1, "x")], -vectors(1))
    other.commit()
    store.delete("acme", "kb", "other")
    deadline = time.monotonic() + 20
    while True:
        store.sweep(datetime.now(UTC) + 2 * GRACE)
        assert_one_whole_revision(store)
        if records(connection) == len(seen(store)):
            break
        assert time.monotonic() < deadline, "what the killed processes left is still there"
        time.sleep(0.1)
    connection.close()


def assert_one_whole_revision(store: ChromaDocuments) -> None:
    words = seen(store)
    text = store.text("acme", "kb", "doc")
    assert text is not None
    for whole in (words, text.split()):
        (name,) = set(whole)
        assert len(whole) == 5 + int(name[1:]) % 3
