import hashlib
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memapp.embedders.hashing import HashEmbedder
from memapp.errors import EmbedderUnavailable, InvalidInput, NotFound
from memapp.filters import Comparison
from memapp.ports import DocumentStore
from memapp.readers import html, markdown
from memapp.readers import text as plain_text
from memapp.records import Chunk, Document, NearChunk, Vectors
from memapp.services.documents import (
    Documents,
    Ingest,
    Ingested,
    IngestProgress,
    Retrieval,
)
from memapp.services.ingesting import BATCH
from memapp.services.retrieving import ENOUGH
from tests.fakes.document_store import FakeDocuments, FakeRevision

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class SettableClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class CountingEmbedder(HashEmbedder):
    """Counts what it embeds; fails after `fails_after` texts."""

    def __init__(self) -> None:
        self.embedded = 0
        self.largest_batch = 0
        self.fails_after: int | None = None

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.embedded += len(texts)
        self.largest_batch = max(self.largest_batch, len(texts))
        if self.fails_after is not None and self.embedded > self.fails_after:
            message = "the provider is down"
            raise EmbedderUnavailable(message)
        return super().embed_documents(texts)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def store() -> FakeDocuments:
    return FakeDocuments()


def service(
    store: DocumentStore, embedder: CountingEmbedder, clock: SettableClock, **sizes: int
) -> Documents:
    return Documents(
        store,
        embedder,
        [plain_text.create(), markdown.create(), html.create()],
        clock,
        **({"chunk_characters": 120, "chunk_overlap": 20, "pool": 20} | sizes),
    )


@pytest.fixture
def documents(store: FakeDocuments, embedder: CountingEmbedder, clock: SettableClock) -> Documents:
    return service(store, embedder, clock)


def ingest(text: str, **fields: Any) -> Ingest:
    given: dict[str, Any] = {
        "collection": "default",
        "content": text.encode(),
        "id": "doc",
        "title": None,
        "source": None,
        "metadata": {},
        "format": None,
        "media_type": None,
        "name": "",
    }
    return Ingest(**(given | fields))


def numbered(sentences: int) -> str:
    return " ".join(f"This is sentence number {n} of the text." for n in range(sentences))


def test_an_ingested_document_can_be_read_back(documents: Documents) -> None:
    content = "# Guide\n\nRun make serve.\n"

    done = documents.ingest("acme", ingest(content, source="s", metadata={"k": [1, 2]}))

    assert done.outcome == "created"
    assert done.document == documents.get("acme", "default", "doc")
    assert (done.document.title, done.document.source) == ("Guide", "s")
    assert (done.document.revision, done.document.chunks) == (1, 1)
    assert (done.document.characters, done.document.metadata) == (len(content), {"k": [1, 2]})
    assert documents.text("acme", "default", "doc") == content
    (chunk,) = documents.chunks("acme", "default", "doc")
    assert (chunk.text, chunk.heading) == (content.strip(), "Guide")


def test_the_callers_title_wins_over_the_documents_own(documents: Documents) -> None:
    done = documents.ingest("acme", ingest("# Own", title="Given"))

    assert done.document.title == "Given"


def test_the_same_ingest_again_changes_and_embeds_nothing(
    documents: Documents, embedder: CountingEmbedder, clock: SettableClock
) -> None:
    first = documents.ingest("acme", ingest("Text.", metadata={"a": 1, "b": 2}))
    before = embedder.embedded
    clock.move(hours=1)

    again = documents.ingest("acme", ingest("Text.", metadata={"b": 2, "a": 1}))

    assert again == Ingested(first.document, "unchanged")
    assert embedder.embedded == before


@pytest.mark.parametrize(
    "change",
    [
        {"content": b"Other."},
        {"title": "t"},
        {"source": "s"},
        {"metadata": {"k": 1}},
        {"format": "markdown"},
    ],
)
def test_any_change_makes_a_new_revision(
    documents: Documents, clock: SettableClock, change: dict[str, Any]
) -> None:
    first = documents.ingest("acme", ingest("Text.")).document
    clock.move(hours=1)

    done = documents.ingest("acme", ingest("Text.", **change))

    assert done.outcome == "replaced"
    assert done.document.revision == 2
    assert done.document.created_at == first.created_at
    assert done.document.updated_at == clock.now


def test_other_chunk_sizes_make_a_new_revision(
    store: FakeDocuments, embedder: CountingEmbedder, clock: SettableClock
) -> None:
    service(store, embedder, clock).ingest("acme", ingest("Text."))

    done = service(store, embedder, clock, chunk_characters=50).ingest("acme", ingest("Text."))

    assert done.outcome == "replaced"


def test_an_id_is_derived_from_the_content(documents: Documents) -> None:
    one = documents.ingest("acme", ingest("One.", id=None))
    same = documents.ingest("acme", ingest("One.", id=None))
    other = documents.ingest("acme", ingest("Two.", id=None))

    assert one.document.id == hashlib.sha256(b"One.").hexdigest()[:32]
    assert (same.outcome, other.outcome) == ("unchanged", "created")


def test_progress_is_told_batch_by_batch(documents: Documents, embedder: CountingEmbedder) -> None:
    *progress, last = documents.ingest_steps("acme", ingest(numbered(400)))

    assert isinstance(last, Ingested)
    total = last.document.chunks
    assert total > 2 * BATCH
    assert progress == [
        IngestProgress(min(n, total), total) for n in range(0, total + BATCH, BATCH)
    ]
    assert embedder.largest_batch == BATCH


def test_the_next_batch_is_embedded_while_one_is_written(clock: SettableClock) -> None:
    embedded_second = threading.Event()
    came_in_time: list[bool] = []

    class Embedder(CountingEmbedder):
        def embed_documents(self, texts: Sequence[str]) -> Vectors:
            vectors = super().embed_documents(texts)
            if self.embedded > BATCH:
                embedded_second.set()
            return vectors

    class Store(FakeDocuments):
        def begin(self, tenant: str, document: Document, text: str) -> FakeRevision:
            revision = super().begin(tenant, document, text)
            add = revision.add

            def patient_add(chunks: Sequence[Chunk], vectors: Vectors) -> None:
                came_in_time.append(embedded_second.wait(5))
                add(chunks, vectors)

            revision.add = patient_add  # type: ignore[method-assign]
            return revision

    service(Store(), Embedder(), clock).ingest("acme", ingest(numbered(400)))

    assert came_in_time[0]


def test_an_ingest_that_fails_half_way_leaves_the_old_revision(
    documents: Documents, embedder: CountingEmbedder
) -> None:
    documents.ingest("acme", ingest("Old text."))
    embedder.fails_after = embedder.embedded + BATCH

    with pytest.raises(EmbedderUnavailable):
        documents.ingest("acme", ingest(numbered(400)))

    assert documents.text("acme", "default", "doc") == "Old text."


def test_what_was_replaced_is_what_was_there_in_the_end(documents: Documents) -> None:
    steps = documents.ingest_steps("acme", ingest("Ours.", id="d"))
    next(steps)
    documents.ingest("acme", ingest("Theirs.", id="d"))

    *_, last = steps
    assert isinstance(last, Ingested)
    assert (last.outcome, last.document.revision) == ("replaced", 2)


def test_an_ingest_that_is_abandoned_leaves_the_old_revision(documents: Documents) -> None:
    documents.ingest("acme", ingest("Old text."))
    steps = documents.ingest_steps("acme", ingest(numbered(400)))
    assert isinstance(steps, Iterator)
    assert next(steps) != next(steps)

    steps.close()  # type: ignore[attr-defined]

    assert documents.text("acme", "default", "doc") == "Old text."


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"content": b"\xff"}, "/text"),
        ({"content": b" \n"}, "/text"),
        ({"content": b"<p></p>", "format": "html"}, "/text"),
        ({"content": b"PK\x03\x04"}, "/text"),
        ({"format": "x"}, "/format"),
    ],
)
def test_unreadable_content_is_reported_at_the_field_it_came_in(
    documents: Documents, fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        documents.ingest("acme", ingest("Text.", is_text=True, **fields))

    assert [error.pointer for error in caught.value.errors] == [pointer]
    assert documents.collections("acme") == []


def test_a_deleted_document_is_gone(documents: Documents) -> None:
    documents.ingest("acme", ingest("Text."))

    documents.delete("acme", "default", "doc")

    for missing in (documents.get, documents.text, documents.chunks, documents.delete):
        with pytest.raises(NotFound):
            missing("acme", "default", "doc")


def test_another_tenants_documents_do_not_exist(documents: Documents) -> None:
    documents.ingest("acme", ingest("Text.", collection="kb"))

    with pytest.raises(NotFound):
        documents.get("evil", "kb", "doc")
    with pytest.raises(NotFound):
        documents.page("evil", "kb", limit=1, cursor=None)
    with pytest.raises(NotFound):
        documents.retrieve("evil", Retrieval("text", ("kb",)))
    with pytest.raises(NotFound):
        documents.drop("evil", "kb")
    assert documents.collections("evil") == []


def test_documents_are_listed_newest_first_in_pages(
    documents: Documents, clock: SettableClock
) -> None:
    for name in ("a", "b", "c"):
        documents.ingest("acme", ingest(f"Text {name}.", id=name))
        clock.move(seconds=1)

    first = documents.page("acme", "default", limit=2, cursor=None)
    second = documents.page("acme", "default", limit=2, cursor=first.next_cursor)

    assert [d.id for d in first.items + second.items] == ["c", "b", "a"]
    assert second.next_cursor is None


def test_the_default_collection_is_empty_before_it_exists(documents: Documents) -> None:
    assert documents.page("acme", "default", limit=2, cursor=None).items == []
    assert documents.retrieve("acme", Retrieval("text", ("default",))).passages == []


def test_an_unknown_collection_is_an_error_even_beside_a_known_one(documents: Documents) -> None:
    documents.ingest("acme", ingest("Text.", collection="known"))

    with pytest.raises(NotFound):
        documents.page("acme", "unknown", limit=1, cursor=None)
    with pytest.raises(NotFound):
        documents.retrieve("acme", Retrieval("text", ("known", "unknown")))
    with pytest.raises(NotFound):
        documents.drop("acme", "default")


def test_a_collection_whose_documents_were_deleted_is_known_and_empty(
    documents: Documents,
) -> None:
    documents.ingest("acme", ingest("Text.", collection="kb"))
    documents.delete("acme", "kb", "doc")

    assert documents.page("acme", "kb", limit=1, cursor=None).items == []
    assert documents.retrieve("acme", Retrieval("text", ("kb",))).passages == []


@pytest.fixture
def library(documents: Documents) -> Documents:
    """Documents about different things, in two collections."""
    for name, words in {
        "tea": "Green tea is brewed at eighty degrees.",
        "coffee": "Coffee beans are roasted and ground.",
        "rust": "Rust forms when iron meets water and air.",
    }.items():
        done = ingest(words, id=name, metadata={"drink": name != "rust"}, collection="kb")
        documents.ingest("acme", done)
    documents.ingest("acme", ingest("Order AX-7714 was shipped.", id="order", collection="orders"))
    return documents


def ids(service: Documents, query: str, **fields: Any) -> list[str]:
    asked = Retrieval(query, **({"collections": ("kb",)} | fields))
    return [passage.document.id for passage in service.retrieve("acme", asked).passages]


def test_the_passage_that_answers_comes_first(library: Documents) -> None:
    assert ids(library, "how is green tea brewed?")[0] == "tea"


def test_several_collections_make_one_ranking(library: Documents) -> None:
    found = ids(library, "where is order AX-7714", collections=("kb", "orders", "kb"), limit=9)

    assert found[0] == "order"
    assert sorted(found) == ["coffee", "order", "rust", "tea"]


def test_a_filter_leaves_only_what_it_accepts_and_the_limit_is_still_reached(
    library: Documents,
) -> None:
    drinks = Comparison("metadata.drink", "eq", value=True)

    found = ids(library, "rust iron water air", condition=drinks, limit=2, mode="semantic")

    assert sorted(found) == ["coffee", "tea"]


def test_passages_below_the_least_score_are_left_out(library: Documents) -> None:
    assert ids(library, "green tea", min_score=0.9) == ["tea"]


def test_scores_lie_between_0_and_1_and_are_explained_on_request(library: Documents) -> None:
    asked = Retrieval("green tea", ("kb",), explain=True)

    passages = library.retrieve("acme", asked).passages
    plain = library.retrieve("acme", Retrieval("green tea", ("kb",))).passages

    assert all(0 <= passage.score <= 1 for passage in passages)
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)
    assert passages[0].explanation is not None
    assert plain[0].explanation is None


def test_a_code_that_no_vector_tells_apart_is_found_exactly(
    store: FakeDocuments, embedder: CountingEmbedder, clock: SettableClock
) -> None:
    narrow = service(store, embedder, clock, pool=2)
    for number in range(30):
        words = f"Order ZX-{number:04d} was shipped from the store in Hamburg."
        narrow.ingest("acme", ingest(words, id=str(number)))

    found = ids(narrow, 'where is "zx-0017"', collections=("default",), limit=2)

    assert found[0] == "17"


def test_a_phrase_that_many_of_the_nearest_contain_is_not_looked_up(
    store: FakeDocuments,
    embedder: CountingEmbedder,
    clock: SettableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = service(store, embedder, clock, pool=ENOUGH)
    for number in range(ENOUGH + 1):
        words = f"Order ZX-{number:04d} was shipped to Hamburg."
        wide.ingest("acme", ingest(words, id=str(number)))
    looked_up: list[str] = []
    real = FakeDocuments.containing

    def containing(
        fake: FakeDocuments,
        tenant: str,
        collection: str,
        phrases: Sequence[str],
        *rest: Any,
        condition: Any,
    ) -> list[NearChunk]:
        looked_up.extend(phrases)
        return real(fake, tenant, collection, phrases, *rest, condition=condition)

    monkeypatch.setattr(FakeDocuments, "containing", containing)

    ids(wide, "was order ZX-0017 shipped to Hamburg", collections=("default",))

    assert looked_up == ["ZX-0017"]


def test_an_exact_match_is_found_behind_many_that_a_filter_refuses(
    store: FakeDocuments, embedder: CountingEmbedder, clock: SettableClock
) -> None:
    narrow = service(store, embedder, clock, pool=5)
    for number in range(30):
        others = " ".join(f"word{number * 20 + i}" for i in range(20))
        refused = ingest(f"ZX-0017 {others}", id=f"refused {number}", metadata={"kept": 0})
        narrow.ingest("acme", refused)
        near = ingest(f"where is it {number}", id=f"near {number}", metadata={"kept": 1})
        narrow.ingest("acme", near)
    others = " ".join(f"word{i}" for i in range(1000, 1050))
    narrow.ingest("acme", ingest(f"ZX-0017 {others}", id="it", metadata={"kept": 1}))
    kept = Comparison("metadata.kept", "eq", 1)

    found = ids(narrow, 'where is "ZX-0017"', collections=("default",), limit=2, condition=kept)

    assert found[0] == "it"


def test_the_context_quotes_the_passages_within_its_limit(library: Documents) -> None:
    asked = Retrieval("green tea", ("kb",), limit=3, max_characters=150)

    context = library.retrieve("acme", asked).context

    assert len(context) <= 150
    assert "> Green tea is brewed at eighty degrees." in context
