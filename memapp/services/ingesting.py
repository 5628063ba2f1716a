"""Take documents in: read, cut, embed and store them, batch by batch."""

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import Literal

from memapp.errors import FieldError, InvalidInput, StoreUnavailable
from memapp.ports import Clock, DocumentStore, Embedder, Reader, Revision
from memapp.ranking import passage_embedding_text
from memapp.records import Chunk, Document, Metadata, ReadDocument
from memapp.services.chunking import chunks_of
from memapp.services.formats import chosen_reader

BATCH = 64
"""Chunks embedded and written at a time; bounds the vectors in memory."""


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
        is_text: It came as characters, in the field `text`, not as a file.
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
    is_text: bool = False

    @property
    def pointer(self) -> str:
        """Where the content lies in the request, for error messages."""
        return "/text" if self.is_text else "/file"


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is: `done` of `total` chunks."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """The outcome of an ingest."""

    document: Document
    outcome: Literal["created", "replaced", "unchanged"]


class Ingestion:
    """Takes documents in, for all tenants; safe for many threads."""

    def __init__(
        self,
        store: DocumentStore,
        embedder: Embedder,
        readers: Sequence[Reader],
        clock: Clock,
        *,
        chunk_characters: int,
        chunk_overlap: int,
    ) -> None:
        """Work on `store`; `services.documents.Documents` says what the arguments are."""
        self._store = store
        self._embedder = embedder
        self._readers = readers
        self._clock = clock
        self._chunk_characters = chunk_characters
        self._chunk_overlap = chunk_overlap

    def steps(self, tenant: str, ingest: Ingest) -> Iterator[IngestProgress | Ingested]:
        """Store a document step by step; `Documents.ingest_steps` says how."""
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
            raise InvalidInput([FieldError(ingest.pointer, "holds no text")])
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
        stored = yield from self._write(tenant, document, read.text, chunks)
        yield Ingested(stored, "created" if stored.revision == 1 else "replaced")

    def _write(
        self, tenant: str, document: Document, text: str, chunks: Sequence[Chunk]
    ) -> Generator[IngestProgress, None, Document]:
        revision = self._store.begin(tenant, document, text)
        is_done = False
        try:
            yield IngestProgress(0, len(chunks))
            yield from self._add(revision, document, chunks)
            stored = revision.commit()
            is_done = True
        finally:
            if not is_done:
                # What cannot be removed now is swept away later.
                with suppress(StoreUnavailable):
                    revision.discard()
        return stored

    def _add(
        self, revision: Revision, document: Document, chunks: Sequence[Chunk]
    ) -> Iterator[IngestProgress]:
        """Embed and store chunks, batch by batch: the next is embedded while one is written."""
        done = 0
        write: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="memapp-ingest") as writer:
            for start in range(0, len(chunks), BATCH):
                batch = chunks[start : start + BATCH]
                texts = [passage_embedding_text(document.title, c.heading, c.text) for c in batch]
                vectors = self._embedder.embed_documents(texts)
                if write is not None:
                    write.result()
                    yield IngestProgress(done, len(chunks))
                done = start + len(batch)
                # In this request's context, for the log.
                write = writer.submit(copy_context().run, revision.add, batch, vectors)
            if write is not None:
                write.result()
        yield IngestProgress(done, len(chunks))

    def _reader_for(self, ingest: Ingest) -> Reader:
        try:
            return chosen_reader(
                self._readers,
                ingest.content,
                format_name=ingest.format,
                media_type=ingest.media_type,
                name=ingest.name,
                is_text=ingest.is_text,
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
