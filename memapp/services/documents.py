"""What memapp does with documents: ingest, list, show, delete them, and retrieve passages."""

import hashlib
import json
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from memapp.errors import FieldError, InvalidInput, NotFound, StoreUnavailable
from memapp.filters import FieldKind, Filter, matches, record_value
from memapp.ports import Clock, DocumentStore, Embedder, Reader
from memapp.ranking import (
    Candidate,
    Mode,
    exact_phrases,
    passage_embedding_text,
    passage_text,
    rank,
)
from memapp.records import (
    Chunk,
    CollectionSummary,
    Document,
    Metadata,
    NearChunk,
    Passage,
    ReadDocument,
    Vector,
)
from memapp.services.chunking import chunks_of
from memapp.services.context import context_of
from memapp.services.formats import chosen_reader
from memapp.services.paging import Page, newest_first

T = TypeVar("T")

DEFAULT_COLLECTION = "default"
"""The collection that always exists, if only empty."""

BATCH = 64
"""Chunks embedded and written at a time; bounds the vectors in memory."""

DOCUMENT_FIELDS: Mapping[str, FieldKind] = {
    "title": "text",
    "source": "text",
    "created_at": "time",
    "updated_at": "time",
}
"""What a filter may name besides `metadata.<key>`."""

_COLLECTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Ingest:
    """A file to be ingested.

    Attributes:
        collection: The knowledge base it goes to.
        content: The whole file.
        id: Its id; None derives one from the content.
        title: None takes the document's own.
        source: Where it came from, for citations.
        metadata: The caller's own keys.
        format: Which reader to use; None finds out.
        media_type: As the caller declared it.
        name: The file's name; may be empty.
        pointer: Where the content lies in the request, for error messages.
    """

    collection: str
    content: bytes
    id: str | None
    title: str | None
    source: str | None
    metadata: Metadata
    format: str | None
    media_type: str | None
    name: str
    pointer: str = "/file"


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is: `done` of `total` chunks; None while the total is not known."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Ingested:
    """The outcome of an ingest."""

    document: Document
    outcome: Literal["created", "replaced", "unchanged"]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A question to some collections.

    Attributes:
        query: The question.
        collections: Where to look; at least one.
        limit: How many passages at most.
        condition: What their documents must satisfy.
        mode: Which evidence counts.
        min_score: Passages below it (0 to 1) are left out.
        explain: Give the parts of each score.
        max_characters: Longest context; None means no limit.
    """

    query: str
    collections: tuple[str, ...]
    limit: int = 5
    condition: Filter | None = None
    mode: Mode = "hybrid"
    min_score: float | None = None
    explain: bool = False
    max_characters: int | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages, best first, and the same as text for a prompt."""

    passages: list[Passage]
    context: str


class Documents:
    """The documents of all tenants; safe for many threads."""

    def __init__(
        self,
        store: DocumentStore,
        embedder: Embedder,
        readers: Sequence[Reader],
        clock: Clock,
        *,
        chunk_characters: int,
        chunk_overlap: int,
        pool: int,
    ) -> None:
        """Work on `store`.

        Args:
            store: Keeps the documents.
            embedder: Makes the vectors of their chunks.
            readers: Turn files into text; of two that read the same, the first is taken.
            clock: Tells the time.
            chunk_characters: Most characters of a chunk.
            chunk_overlap: Characters that neighbouring chunks share, at most half of that.
            pool: How many of the nearest chunks a retrieval ranks.
        """
        self._store = store
        self._embedder = embedder
        self._readers = readers
        self._clock = clock
        self._chunk_characters = chunk_characters
        self._chunk_overlap = chunk_overlap
        self._pool = pool

    def ingest(self, tenant: str, ingest: Ingest) -> Ingested:
        """Store a document; raises what `ingest_steps` raises."""
        for step in self.ingest_steps(tenant, ingest):
            if isinstance(step, Ingested):
                return step
        raise AssertionError  # pragma: no cover

    def ingest_steps(self, tenant: str, ingest: Ingest) -> Iterator[IngestProgress | Ingested]:
        """Store a document step by step.

        What is stored already, with the same content, is left as it is and not embedded again.
        An iterator that is closed early leaves the document as it was.

        Yields:
            The progress, and last the outcome. What is wrong with the input shows at the first.

        Raises:
            InvalidInput: the collection's name, the format or the content breaks a rule.
        """
        _check_collection(ingest.collection)
        reader = self._reader_for(ingest)
        digest = self._digest(ingest, reader)
        document_id = ingest.id
        if document_id is None:
            document_id = hashlib.sha256(ingest.content).hexdigest()[:32]
        current = self._store.get(tenant, ingest.collection, document_id)
        if current is not None and current.sha256 == digest:
            yield Ingested(current, "unchanged")
            return
        read = _read(reader, ingest)
        chunks = chunks_of(read, limit=self._chunk_characters, overlap=self._chunk_overlap)
        if not chunks:
            detail = "holds no text; a scanned document must be recognised (OCR) first"
            raise InvalidInput([FieldError(ingest.pointer, detail)])
        now = self._clock()
        document = Document(
            id=document_id,
            collection=ingest.collection,
            title=read.title if ingest.title is None else ingest.title,
            source=ingest.source,
            metadata=ingest.metadata,
            revision=1,
            chunks=len(chunks),
            characters=len(read.text),
            sha256=digest,
            created_at=now,
            updated_at=now,
        )
        yield IngestProgress(0, len(chunks))
        stored = yield from self._store_chunks(tenant, document, read.text, chunks)
        yield Ingested(stored, "created" if current is None else "replaced")

    def page(
        self, tenant: str, collection: str, *, limit: int, cursor: str | None
    ) -> Page[Document]:
        """Return one page of a collection's documents, newest first.

        Raises:
            NotFound: there is no such collection.
            InvalidInput: the cursor is not one of ours.
        """
        documents = self._store.scan(tenant, collection)
        if not documents:
            self._check_exists(tenant, collection)
        return newest_first(
            documents,
            lambda document: (document.created_at, document.id),
            limit=limit,
            cursor=cursor,
        )

    def get(self, tenant: str, collection: str, document_id: str) -> Document:
        """Return a document.

        Raises:
            NotFound: there is none.
        """
        return _found(self._store.get(tenant, collection, document_id))

    def text(self, tenant: str, collection: str, document_id: str) -> str:
        """Return a document's whole text.

        Raises:
            NotFound: there is no such document.
        """
        return _found(self._store.text(tenant, collection, document_id))

    def chunks(self, tenant: str, collection: str, document_id: str) -> list[Chunk]:
        """Return a document's chunks, in order.

        Raises:
            NotFound: there is no such document.
        """
        return _found(self._store.chunks(tenant, collection, document_id))

    def delete(self, tenant: str, collection: str, document_id: str) -> None:
        """Remove a document with its chunks.

        Raises:
            NotFound: there is none.
        """
        if not self._store.delete(tenant, collection, document_id):
            raise _no_document()

    def collections(self, tenant: str) -> list[CollectionSummary]:
        """Return the tenant's collections, by name."""
        return self._store.collections(tenant)

    def drop(self, tenant: str, collection: str) -> None:
        """Remove a collection with all its documents.

        Raises:
            NotFound: there is none.
        """
        if not self._store.drop(tenant, collection):
            raise _no_collection()

    def retrieve(self, tenant: str, retrieval: Retrieval) -> Retrieved:
        """Return the passages that answer a question, best first.

        Raises:
            NotFound: there is no such collection.
        """
        vector = self._embedder.embed_query(retrieval.query)
        pool: list[NearChunk] = []
        for collection in dict.fromkeys(retrieval.collections):
            found = self._gather(tenant, collection, retrieval, vector)
            if not found:
                self._check_exists(tenant, collection)
            pool += found
        ranked = rank(retrieval.query, [_candidate(near) for near in pool], mode=retrieval.mode)
        least = 0.0 if retrieval.min_score is None else retrieval.min_score
        passages = [
            Passage(
                pool[r.index].document,
                pool[r.index].chunk,
                r.score,
                r.parts if retrieval.explain else None,
            )
            for r in ranked[: retrieval.limit]
            if r.score >= least
        ]
        context = context_of(passages, max_characters=retrieval.max_characters)
        return Retrieved(passages, context)

    def _reader_for(self, ingest: Ingest) -> Reader:
        try:
            return chosen_reader(
                self._readers,
                ingest.content,
                format_name=ingest.format,
                media_type=ingest.media_type,
                name=ingest.name,
            )
        except InvalidInput as error:
            raise _about(ingest, error) from error

    def _digest(self, ingest: Ingest, reader: Reader) -> str:
        """Return a digest of everything the stored document depends on."""
        parts = [
            hashlib.sha256(ingest.content).hexdigest(),
            ingest.title,
            ingest.source,
            dict(ingest.metadata),
            list(reader.formats),
            self._chunk_characters,
            self._chunk_overlap,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _store_chunks(
        self, tenant: str, document: Document, text: str, chunks: Sequence[Chunk]
    ) -> Generator[IngestProgress, None, Document]:
        revision = self._store.begin(tenant, document, text)
        is_done = False
        try:
            for start in range(0, len(chunks), BATCH):
                batch = chunks[start : start + BATCH]
                texts = [passage_embedding_text(document.title, c.heading, c.text) for c in batch]
                revision.add(batch, self._embedder.embed_documents(texts))
                yield IngestProgress(start + len(batch), len(chunks))
            stored = revision.commit()
            is_done = True
        finally:
            if not is_done:
                # What cannot be removed now is swept away later.
                with suppress(StoreUnavailable):
                    revision.discard()
        return stored

    def _gather(
        self, tenant: str, collection: str, retrieval: Retrieval, vector: Vector
    ) -> list[NearChunk]:
        """Return a collection's pool: the nearest chunks, and those with the query's phrases."""
        is_semantic = retrieval.mode == "semantic"
        wanted = retrieval.limit if is_semantic else max(self._pool, retrieval.limit)
        limit = wanted
        while True:
            near = self._store.nearest(tenant, collection, vector, limit, retrieval.condition)
            pool = [found for found in near if _accepts(retrieval.condition, found.document)]
            # Chunks of documents that the filter refuses took places: ask for more until there
            # are enough, or no more.
            if len(pool) >= wanted or len(near) < limit:
                break
            limit *= 4
        pool = pool[:wanted]
        if is_semantic or len(near) < limit:
            return pool
        there = {(found.document.id, found.chunk.index) for found in pool}
        phrases = exact_phrases(retrieval.query)
        exact = self._store.containing(tenant, collection, phrases, vector, wanted)
        return pool + [
            found
            for found in exact
            if (found.document.id, found.chunk.index) not in there
            and _accepts(retrieval.condition, found.document)
        ]

    def _check_exists(self, tenant: str, collection: str) -> None:
        if collection != DEFAULT_COLLECTION and not self._store.exists(tenant, collection):
            raise _no_collection()


def _check_collection(name: str) -> None:
    if not _COLLECTION.fullmatch(name):
        detail = (
            "must be 1 to 128 letters, digits, dots, dashes and underscores (ASCII), and begin and "
            "end with a letter or digit"
        )
        raise InvalidInput([FieldError("/collection", detail)])


def _read(reader: Reader, ingest: Ingest) -> ReadDocument:
    try:
        return reader.read(ingest.content, name=ingest.name)
    except InvalidInput as error:
        raise _about(ingest, error) from error


def _about(ingest: Ingest, error: InvalidInput) -> InvalidInput:
    """Return an error about `/file` as one about the field that the content came in."""
    return InvalidInput(
        [
            FieldError(ingest.pointer if one.pointer == "/file" else one.pointer, one.detail)
            for one in error.errors
        ]
    )


def _accepts(condition: Filter | None, document: Document) -> bool:
    return condition is None or matches(condition, lambda field: _value(document, field))


def _value(document: Document, field: str) -> Any:
    return record_value(field, document.metadata, lambda name: getattr(document, name))


def _candidate(near: NearChunk) -> Candidate:
    chunk = near.chunk
    return Candidate(passage_text(near.document.title, chunk.heading, chunk.text), near.cosine)


def _found(value: T | None) -> T:
    if value is None:
        raise _no_document()
    return value


def _no_document() -> NotFound:
    return NotFound("there is no document with this id in this collection")


def _no_collection() -> NotFound:
    return NotFound("there is no collection of this name; ingest a document to make it")
