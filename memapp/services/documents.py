"""What memapp does with documents: ingest, list, show, delete them, and retrieve passages."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from memapp.errors import NotFound
from memapp.ports import Clock, DocumentStore, Embedder, Reader
from memapp.records import Chunk, CollectionSummary, Document, NearChunk
from memapp.services.context import context_of
from memapp.services.ingesting import Ingest, Ingested, Ingestion, IngestProgress
from memapp.services.paging import Page, newest_first
from memapp.services.retrieving import (
    DOCUMENT_FIELDS,
    Retrieval,
    Retrieved,
    passages_to_rank,
    ranked_passages,
)

__all__ = [
    "DEFAULT_COLLECTION",
    "DOCUMENT_FIELDS",
    "Documents",
    "Ingest",
    "IngestProgress",
    "Ingested",
    "Retrieval",
    "Retrieved",
]

T = TypeVar("T")

DEFAULT_COLLECTION = "default"
"""The collection that always exists, if only empty."""


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
        self._pool = pool
        self._ingestion = Ingestion(
            store,
            embedder,
            readers,
            clock,
            chunk_characters=chunk_characters,
            chunk_overlap=chunk_overlap,
        )

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
            Conflict: another ingest of the document is current, or its collection was dropped.
        """
        return self._ingestion.steps(tenant, ingest)

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
            found = passages_to_rank(
                self._store, tenant, collection, retrieval, vector, pool=self._pool
            )
            if not found:
                self._check_exists(tenant, collection)
            pool += found
        passages = ranked_passages(retrieval, pool)
        return Retrieved(passages, context_of(passages, max_characters=retrieval.max_characters))

    def _check_exists(self, tenant: str, collection: str) -> None:
        if collection != DEFAULT_COLLECTION and not self._store.exists(tenant, collection):
            raise _no_collection()


def _found(value: T | None) -> T:
    if value is None:
        raise _no_document()
    return value


def _no_document() -> NotFound:
    return NotFound("there is no document with this id in this collection")


def _no_collection() -> NotFound:
    return NotFound("there is no collection of this name; ingest a document to make it")
