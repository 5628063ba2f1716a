"""What every document store promises; run against the fake and against real Chroma."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memapp.chroma.documents import ChromaDocuments
from memapp.errors import Conflict
from memapp.filters import Comparison
from memapp.ports import DocumentStore, Revision
from memapp.records import (
    Chunk,
    CollectionSummary,
    Document,
    EmbedderIdentity,
    NearChunk,
    Vector,
    Vectors,
)
from tests.contracts.conftest import OpenConnection
from tests.fakes.document_store import FakeDocuments

IDENTITY = EmbedderIdentity("test", "axes", 8, "1")
START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


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


@pytest.fixture(params=["fake", "persistent", "http"])
def store(
    request: pytest.FixtureRequest, clock: SettableClock, tmp_path: Path
) -> Iterator[DocumentStore]:
    if request.param == "fake":
        yield FakeDocuments()
        return
    open_connection: OpenConnection = request.getfixturevalue("open_connection")
    connection = open_connection(request.param, tmp_path)
    yield ChromaDocuments(connection, IDENTITY, clock)
    for name in connection.names():
        connection.drop(name)


def axis(*weights: float) -> Vector:
    """Return a unit vector of 8 dimensions with the given first components."""
    vector = np.zeros(8, dtype=np.float32)
    vector[: len(weights)] = weights
    return vector / np.float32(np.linalg.norm(vector))


def document(document_id: str = "doc", **fields: Any) -> Document:
    given: dict[str, Any] = {
        "collection": "kb",
        "title": "Title",
        "source": None,
        "metadata": {},
        "revision": 0,
        "chunks": 0,
        "characters": 0,
        "sha256": "0" * 64,
        "created_at": START,
        "updated_at": START,
    }
    return Document(document_id, **(given | fields))


def chunks_in(text: str) -> list[Chunk]:
    """Cut a text at its bars; what is between two bars is a chunk."""
    chunks = []
    start = 0
    for index, piece in enumerate(text.split("|")):
        begin = start + len(piece) - len(piece.lstrip())
        chunks.append(Chunk(index, begin, start + len(piece.rstrip()), piece.strip()))
        start += len(piece) + 1
    return chunks


def vectors_for(chunks: Sequence[Chunk]) -> Vectors:
    return np.stack([axis(1, chunk.index) for chunk in chunks])


def put(
    store: DocumentStore, text: str = "one | two", *, tenant: str = "acme", **fields: Any
) -> Document:
    """Store a document of one batch; its first chunk lies at `axis(1)`, the next further away."""
    revision = begin(store, text, tenant=tenant, **fields)
    return revision.commit()


def begin(store: DocumentStore, text: str, *, tenant: str = "acme", **fields: Any) -> Revision:
    given: dict[str, Any] = {"document_id": "doc", "characters": len(text)} | fields
    made = document(**given)
    revision = store.begin(tenant, made, text)
    chunks = chunks_in(text)
    revision.add(chunks, vectors_for(chunks))
    return revision


def near(store: DocumentStore, limit: int = 9, **fields: Any) -> list[NearChunk]:
    given: dict[str, Any] = {"tenant": "acme", "collection": "kb", "condition": None}
    asked = given | fields
    return store.nearest(asked["tenant"], asked["collection"], axis(1), limit, asked["condition"])


def texts(found: Sequence[NearChunk]) -> list[str]:
    return [one.chunk.text for one in found]


def test_a_document_comes_back_exactly_as_it_was_given(store: DocumentStore) -> None:
    given = document(
        "id / with ünicode",
        source="https://example.org/?q=1#x",
        metadata={"a": 1, "b": 1.0, "c": True, "d": "x", "e": ["x", "y"], "f": [1.5], "": "k"}
        | {"big": 2**80, "neg": -(10**300), "small": 5e-324, "null\n": ""},
        sha256="ab" * 32,
        characters=9,
        updated_at=START + timedelta(microseconds=1),
    )

    revision = store.begin("acme", given, "one | two")
    revision.add(chunks_in("one | two"), vectors_for(chunks_in("one | two")))
    stored = revision.commit()

    assert stored == replace(given, revision=1, chunks=2)
    found = store.get("acme", "kb", given.id)
    assert found == stored
    assert found is not None
    assert type(found.metadata["b"]) is float
    assert store.scan("acme", "kb") == [stored]


def test_the_text_comes_back_exactly_as_it_was_given(store: DocumentStore) -> None:
    text = "\r\n  one|\n\n\ttwo\u3000three | four😀 \n"
    put(store, text)

    assert store.text("acme", "kb", "doc") == text


def test_overlapping_chunks_give_the_text_back_too(store: DocumentStore) -> None:
    text = " one two three\n"
    chunks = [Chunk(0, 1, 8, "one two"), Chunk(1, 5, 14, "two three")]
    revision = store.begin("acme", document(), text)
    revision.add(chunks[:1], vectors_for(chunks[:1]))
    revision.add(chunks[1:], vectors_for(chunks[1:]))
    revision.commit()

    assert store.text("acme", "kb", "doc") == text


def test_chunks_come_back_in_order_and_exactly_as_they_were_given(store: DocumentStore) -> None:
    chunks = [Chunk(i, i, i + 1, "x", f"A > {i}" if i % 2 else "", i or None) for i in range(12)]
    revision = store.begin("acme", document(), "x" * 12)
    revision.add(chunks, vectors_for(chunks))
    revision.commit()

    assert store.chunks("acme", "kb", "doc") == chunks


def test_what_was_never_stored_is_not_there(store: DocumentStore) -> None:
    put(store)

    for collection, document_id in (("kb", "other"), ("other", "doc")):
        assert store.get("acme", collection, document_id) is None
        assert store.text("acme", collection, document_id) is None
        assert store.chunks("acme", collection, document_id) is None
        assert store.delete("acme", collection, document_id) is False
    assert store.scan("acme", "other") == []
    assert near(store, collection="other") == []
    assert store.containing("acme", "other", ["one"], axis(1), 9, condition=None) == []
    assert store.drop("acme", "other") is False
    assert not store.exists("acme", "other")


def test_tenants_see_nothing_of_each_other(store: DocumentStore) -> None:
    put(store)

    assert store.get("evil", "kb", "doc") is None
    assert store.scan("evil", "kb") == []
    assert near(store, tenant="evil") == []
    assert store.containing("evil", "kb", ["one"], axis(1), 9, condition=None) == []
    assert store.collections("evil") == []
    assert store.count("evil") == {"documents": 0, "chunks": 0}
    assert store.delete("evil", "kb", "doc") is False
    assert store.drop("evil", "kb") is False
    assert store.get("acme", "kb", "doc") is not None


def test_names_of_tenants_and_collections_are_never_mixed_up(store: DocumentStore) -> None:
    put(store, "mine", tenant="a", collection="b.c")

    assert near(store, tenant="a", collection="b") == []
    assert texts(near(store, tenant="a", collection="b.c")) == ["mine"]
    assert store.collections("a") == [CollectionSummary("b.c", 1, 1)]


def test_a_new_revision_takes_the_place_of_the_old_one(
    store: DocumentStore, clock: SettableClock
) -> None:
    put(store, "one | two | three", source="s", metadata={"k": 1})
    clock.move(hours=1)

    done = put(store, "four | five", created_at=clock.now, updated_at=clock.now, title="New")

    assert (done.revision, done.chunks, done.title, done.source) == (2, 2, "New", None)
    assert (done.created_at, done.updated_at, done.metadata) == (START, clock.now, {})
    assert store.get("acme", "kb", "doc") == done
    assert store.text("acme", "kb", "doc") == "four | five"
    assert texts(near(store)) == ["four", "five"]
    assert store.containing("acme", "kb", ["one", "two", "three"], axis(1), 9, condition=None) == []
    assert store.count("acme") == {"documents": 1, "chunks": 2}


def test_a_revision_is_not_seen_before_it_is_committed(
    store: DocumentStore, clock: SettableClock
) -> None:
    old = put(store, "one | two")
    clock.move(hours=1)

    revision = begin(store, "four | five")

    assert store.get("acme", "kb", "doc") == old
    assert store.text("acme", "kb", "doc") == "one | two"
    assert texts(near(store)) == ["one", "two"]
    assert store.containing("acme", "kb", ["four"], axis(1), 9, condition=None) == []
    revision.commit()
    assert texts(near(store)) == ["four", "five"]


def test_a_discarded_revision_leaves_the_old_one_and_no_trace(store: DocumentStore) -> None:
    put(store, "one | two")

    begin(store, "four | five").discard()

    assert texts(near(store)) == ["one", "two"]
    assert store.count("acme") == {"documents": 1, "chunks": 2}


def test_revisions_in_quick_succession_never_show_two(
    store: DocumentStore, clock: SettableClock
) -> None:
    for number in range(5):
        put(store, f"first {number} | second {number}")
        clock.move(seconds=1)
        assert texts(near(store)) == [f"first {number}", f"second {number}"]
        assert texts(near(store, limit=1)) == [f"first {number}"]


def test_of_concurrent_commits_the_last_one_stands(
    store: DocumentStore, clock: SettableClock
) -> None:
    one, two = begin(store, "one | two"), begin(store, "three | four")

    two.commit()
    clock.move(seconds=1)
    last = one.commit()

    assert store.get("acme", "kb", "doc") == last
    assert last.revision == 2
    assert texts(near(store)) == ["one", "two"]


def test_concurrent_ingests_of_one_document_end_in_one_of_them(store: DocumentStore) -> None:
    def ingest(number: int) -> Document | None:
        with suppress(Conflict):
            return put(store, f"one {number} | two {number}", sha256=str(number))
        return None

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(ingest, range(8)))

    found = store.get("acme", "kb", "doc")
    assert found in outcomes
    assert found is not None
    number = found.sha256
    assert store.text("acme", "kb", "doc") == f"one {number} | two {number}"
    assert texts(near(store, 16)) == [f"one {number}", f"two {number}"]


def test_readers_see_exactly_one_whole_revision_while_it_is_replaced(
    store: DocumentStore, clock: SettableClock
) -> None:
    parts = 3
    put(store, " | ".join(["0"] * parts))

    def write_all() -> None:
        for number in range(1, 7):
            text = " | ".join([str(number)] * parts)
            revision = store.begin("acme", document(), text)
            for chunk in chunks_in(text):
                revision.add([chunk], vectors_for([chunk]))
            revision.commit()
            clock.move(seconds=1)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write_all)
        looks = 0
        while not writing.done() or looks == 0:
            seen = texts(near(store, 9))
            assert len(seen) == parts
            assert len(set(seen)) == 1
            whole = store.text("acme", "kb", "doc")
            assert whole is not None
            assert len(set(whole.split(" | "))) == 1
            looks += 1
        writing.result()


def test_a_deleted_document_is_gone_with_all_it_has(store: DocumentStore) -> None:
    put(store, "one | two")
    kept = put(store, "three", document_id="kept")

    assert store.delete("acme", "kb", "doc") is True

    assert store.get("acme", "kb", "doc") is None
    assert store.text("acme", "kb", "doc") is None
    assert store.scan("acme", "kb") == [kept]
    assert texts(near(store)) == ["three"]
    assert store.count("acme") == {"documents": 1, "chunks": 1}
    assert store.delete("acme", "kb", "doc") is False


def test_a_deleted_document_can_be_ingested_anew(
    store: DocumentStore, clock: SettableClock
) -> None:
    put(store, "one | two")
    store.delete("acme", "kb", "doc")
    clock.move(hours=1)

    done = put(store, "three", created_at=clock.now)

    assert (done.revision, done.created_at) == (1, clock.now)
    assert texts(near(store)) == ["three"]


def test_nearest_gives_chunks_with_their_documents_nearest_first(store: DocumentStore) -> None:
    one = put(store, "a | b | c", document_id="one", metadata={"k": "v"})
    two = put(store, "d", document_id="two")
    revision = store.begin("acme", document("away"), "e")
    revision.add([Chunk(0, 0, 1, "e")], -axis(1)[np.newaxis])
    revision.commit()

    found = near(store)

    assert [one_found.chunk.index for one_found in found] == [0, 0, 1, 2, 0]
    assert {found[0].document.id, found[1].document.id} == {"one", "two"}
    assert found[2].document == one
    assert two in [found[0].document, found[1].document]
    expected = [1, 1, 1 / np.sqrt(2), 1 / np.sqrt(5), -1]
    assert [one_found.cosine for one_found in found] == pytest.approx(expected, abs=1e-5)
    assert texts(near(store, limit=3)) == texts(found)[:3]


def test_a_condition_never_loses_a_match(store: DocumentStore) -> None:
    put(store, "a", document_id="one", metadata={"n": 1, "tags": ["x"]}, source="s")
    put(store, "b", document_id="two", metadata={"n": 2.5})
    put(store, "c", document_id="three")

    def found(field: str, op: Any, value: Any) -> set[str]:
        return set(texts(near(store, condition=Comparison(field, op, value))))

    assert {"a"} <= found("metadata.n", "eq", 1)
    assert {"b"} <= found("metadata.n", "gt", 1)
    assert {"b", "c"} <= found("metadata.n", "ne", 1)
    assert {"a"} <= found("metadata.tags", "contains", "x")
    assert {"a"} <= found("source", "eq", "s")
    assert {"b", "c"} <= found("source", "ne", "s")
    assert {"a", "b", "c"} <= found("title", "eq", "Title")
    assert {"a", "b", "c"} <= found("created_at", "lte", START)


def test_containing_finds_phrases_literally_and_ignores_case(store: DocumentStore) -> None:
    put(store, "Order AX-77.14 (new) | order ax-77x14 | Straße | *.py")

    def found(*phrases: str) -> list[str]:
        return sorted(texts(store.containing("acme", "kb", phrases, axis(1), 9, condition=None)))

    assert found("ax-77.14") == ["Order AX-77.14 (new)"]
    assert found("(NEW)", "*.py") == ["*.py", "Order AX-77.14 (new)"]
    assert found("straße") == ["Straße"]
    assert found("ORDER") == ["Order AX-77.14 (new)", "order ax-77x14"]
    assert found("missing") == []
    assert found() == []


def test_containing_gives_the_true_similarity_and_no_more_than_asked(
    store: DocumentStore,
) -> None:
    put(store, "a word | another word | a third word")

    found = store.containing("acme", "kb", ["word"], axis(1), 9, condition=None)

    cosines = {one.chunk.index: one.cosine for one in found}
    assert [cosines[i] for i in range(3)] == pytest.approx([1, 1 / np.sqrt(2), 1 / np.sqrt(5)])
    assert len(store.containing("acme", "kb", ["word"], axis(1), 2, condition=None)) == 2


def test_collections_are_listed_by_name_with_their_sizes(store: DocumentStore) -> None:
    put(store, "a | b", collection="two")
    put(store, "c", collection="one", document_id="x")
    put(store, "d", collection="one", document_id="y")
    begin(store, "never committed", collection="three").discard()
    put(store, "other", tenant="evil", collection="secret")

    assert store.collections("acme") == [
        CollectionSummary("one", 2, 2),
        CollectionSummary("three", 0, 0),
        CollectionSummary("two", 1, 2),
    ]
    assert store.exists("acme", "three")
    assert store.count("acme") == {"documents": 3, "chunks": 4}
    assert store.count(None) == {"documents": 4, "chunks": 5}


def test_a_dropped_collection_is_gone_and_can_be_made_anew(store: DocumentStore) -> None:
    put(store, "one | two")
    put(store, "kept", collection="other")

    assert store.drop("acme", "kb") is True

    assert store.get("acme", "kb", "doc") is None
    assert near(store) == []
    assert not store.exists("acme", "kb")
    assert store.collections("acme") == [CollectionSummary("other", 1, 1)]
    assert store.drop("acme", "kb") is False
    put(store, "three")
    assert texts(near(store)) == ["three"]


def test_an_ingest_into_a_collection_that_is_dropped_meanwhile_is_refused(
    store: DocumentStore,
) -> None:
    revision = begin(store, "one | two")
    store.drop("acme", "kb")

    with pytest.raises(Conflict):
        revision.commit()

    revision.discard()
    assert store.get("acme", "kb", "doc") is None
    assert near(store) == []


def test_many_chunks_come_and_go_whole(store: DocumentStore) -> None:
    text = "|".join(f"{n:03d}" for n in range(600))
    revision = store.begin("acme", document(), text)
    chunks = chunks_in(text)
    for start in range(0, 600, 64):
        batch = chunks[start : start + 64]
        revision.add(batch, vectors_for(batch))
    done = revision.commit()

    assert done.chunks == 600
    assert store.text("acme", "kb", "doc") == text
    assert len(near(store, 700)) == 600
    store.delete("acme", "kb", "doc")
    assert store.count("acme") == {"documents": 0, "chunks": 0}


def test_a_sweep_leaves_what_is_current_or_still_being_written(
    store: DocumentStore, clock: SettableClock
) -> None:
    put(store, "one | two")
    clock.move(minutes=20)
    revision = begin(store, "three | four")

    clock.move(minutes=5)
    store.sweep(clock.now)

    assert texts(near(store)) == ["one", "two"]
    revision.commit()
    assert texts(near(store)) == ["three", "four"]
    store.sweep(clock.now)
    assert store.text("acme", "kb", "doc") == "three | four"
