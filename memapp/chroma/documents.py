"""The document store over Chroma; `ports.DocumentStore` says what it promises."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.document_cache import DocumentCache
from memapp.chroma.document_layout import CollectionName, document_key, parse_name
from memapp.chroma.document_records import columns_of, whole_text
from memapp.chroma.document_revision import ChromaRevision
from memapp.chroma.document_shelf import Near, SeenHeads, Shelf
from memapp.chroma.document_sweep import remove_leftovers
from memapp.chroma.faults import CollectionGone
from memapp.chroma.head_counts import HeadCounts
from memapp.chroma.identity import check_identity, identity_metadata
from memapp.chroma.memory_views import one_of
from memapp.chroma.shared_reads import SharedReads
from memapp.chroma.where import narrow
from memapp.filters import Filter
from memapp.ports import Clock
from memapp.records import (
    Chunk,
    CollectionSummary,
    Document,
    EmbedderIdentity,
    NearChunk,
    Vector,
)

T = TypeVar("T")

GRACE = timedelta(minutes=15)
"""An ingest that has not written for so long is dead."""


class ChromaDocuments:
    """Documents of all tenants in one Chroma; safe for many threads and processes."""

    def __init__(
        self,
        connection: Connection,
        identity: EmbedderIdentity,
        clock: Clock,
        *,
        grace: timedelta = GRACE,
        company: str = "",
    ) -> None:
        """Keep documents through `connection`; nothing is opened yet.

        Args:
            connection: Where they are kept.
            identity: Of the embedder that makes the vectors.
            clock: Tells the time.
            grace: How long after its last write an unfinished ingest counts as alive; much longer
                than the clocks of hosts differ.
            company: Name of the processes of this host whose reads go together; see `Errands`.
        """
        self._connection = connection
        self._identity = identity
        self._clock = clock
        self._grace = grace
        self._seen = SeenHeads()
        self._cache = DocumentCache()
        self._counts = HeadCounts()
        self._reads = SharedReads(connection, company)

    def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        """Return the document's current revision, or None."""

        def read(shelf: Shelf) -> Document | None:
            head = shelf.head(document_key(document_id))
            return None if head is None else head.document

        return self._read(tenant, collection, read, None)

    def scan(self, tenant: str, collection: str) -> list[Document]:
        """Return all documents of a collection, unordered."""

        def read(shelf: Shelf) -> list[Document]:
            return [head.document for head in shelf.all_heads().values()]

        return self._read(tenant, collection, read, [])

    def begin(self, tenant: str, document: Document, text: str) -> ChromaRevision:
        """Start to store a new revision, making its collection if there is none."""
        # The heads come first: chunks without heads are what a drop leaves that was cut off.
        heads = self._connection.ensure(
            str(CollectionName("head", tenant, document.collection)), {"holds": "heads"}
        )
        name = str(CollectionName("doc", tenant, document.collection))
        chunks = self._connection.ensure(name, identity_metadata(self._identity))
        check_identity(name, chunks.metadata, self._identity)
        shelf = self._shelf(document.collection, chunks, heads)
        return ChromaRevision(shelf, document, text, self._clock, grace=self._grace)

    def text(self, tenant: str, collection: str, document_id: str) -> str | None:
        """Return the stored text of the current revision, or None if there is no document."""
        key = document_key(document_id)

        def read(shelf: Shelf) -> str | None:
            found = shelf.whole(key)
            return None if found is None else whole_text(found[1], found[0].tail)

        return self._read(tenant, collection, read, None)

    def chunks(self, tenant: str, collection: str, document_id: str) -> list[Chunk] | None:
        """Return the current revision's chunks in order, or None if there is no document."""
        key = document_key(document_id)

        def read(shelf: Shelf) -> list[Chunk] | None:
            found = shelf.whole(key)
            return None if found is None else [stored.chunk for stored in found[1]]

        return self._read(tenant, collection, read, None)

    def delete(self, tenant: str, collection: str, document_id: str) -> bool:
        """Remove a document with all it has; return whether there was one."""

        def remove(shelf: Shelf) -> bool:
            head = shelf.head(document_key(document_id))
            if head is None:
                return False
            # One that is late must not remove what was ingested since.
            shelf.heads.delete([head.key], where={"attempt": head.attempt})
            shelf.chunks.delete(head.ids_of(head.past))
            return True

        return self._read(tenant, collection, remove, empty=False)

    def nearest(
        self, tenant: str, collection: str, vector: Vector, limit: int, condition: Filter | None
    ) -> list[NearChunk]:
        """Return up to `limit` nearest chunks of current revisions, nearest first."""
        where = None if condition is None else narrow(condition, columns_of)

        def fetch(shelf: Shelf, most: int) -> Near:
            return shelf.nearest(vector, most, where=where)

        return self._current(tenant, collection, limit, fetch)

    def containing(
        self,
        tenant: str,
        collection: str,
        phrases: Sequence[str],
        vector: Vector,
        limit: int,
        *,
        condition: Filter | None,
    ) -> list[NearChunk]:
        """Return up to `limit` chunks whose text contains one of `phrases`, ignoring case."""
        if not phrases:
            return []
        pattern = one_of(phrases)
        where = None if condition is None else narrow(condition, columns_of)

        def fetch(shelf: Shelf, most: int) -> Near:
            return shelf.matching(pattern, vector, most, where=where)

        return self._current(tenant, collection, limit, fetch)

    def exists(self, tenant: str, collection: str) -> bool:
        """Tell whether there is such a collection, even an empty one."""
        return self._connection.find(str(CollectionName("head", tenant, collection))) is not None

    def collections(self, tenant: str) -> list[CollectionSummary]:
        """Return the tenant's collections with their sizes, by name."""
        summaries = []
        for name in self._names("head", tenant):
            chunks: list[int] = self._read(tenant, name.collection, Shelf.chunk_counts, [])
            summaries.append(CollectionSummary(name.collection, len(chunks), sum(chunks)))
        return sorted(summaries, key=lambda summary: summary.name)

    def drop(self, tenant: str, collection: str) -> bool:
        """Remove a collection with all documents; return whether there was one."""
        # Heads first: nobody sees chunks without a head. And last: what became current in between
        # has lost its chunks; what becomes current later notices that itself.
        heads = str(CollectionName("head", tenant, collection))
        chunks = str(CollectionName("doc", tenant, collection))
        had = [self._connection.drop(name) for name in (heads, chunks, heads)]
        return any(had)

    def count(self, tenant: str | None) -> Mapping[str, int]:
        """Count `documents` and `chunks` of one tenant, or of all."""
        return {"documents": self._size("head", tenant), "chunks": self._size("doc", tenant)}

    def sweep(self, now: datetime) -> int:
        """Remove what dead or overtaken ingests left behind; return how many records."""
        removed = 0
        for name in self._names("doc", None):
            chunks = self._connection.find(str(name))
            heads = self._connection.find(str(replace(name, kind="head")))
            if chunks is None:
                continue
            with suppress(CollectionGone):
                if heads is None:
                    removed += chunks.count()
                    self._connection.drop(str(name))
                else:
                    shelf = self._shelf(name.collection, chunks, heads)
                    removed += remove_leftovers(shelf, now - self._grace)
        return removed

    def _shelf(self, collection: str, chunks: Collection, heads: Collection) -> Shelf:
        size = self._connection.batch_size
        return Shelf(collection, chunks, heads, size, self._cache, self._counts, self._reads)

    def _find(self, tenant: str, collection: str) -> Shelf | None:
        heads = self._connection.find(str(CollectionName("head", tenant, collection)))
        name = str(CollectionName("doc", tenant, collection))
        chunks = self._connection.find(name)
        if heads is None or chunks is None:
            return None
        check_identity(name, chunks.metadata, self._identity)
        return self._shelf(collection, chunks, heads)

    def _read(self, tenant: str, collection: str, operation: Callable[[Shelf], T], empty: T) -> T:
        """Look into a collection; `empty` is the answer if it is not there, or was just dropped."""
        try:
            shelf = self._find(tenant, collection)
            return empty if shelf is None else operation(shelf)
        except CollectionGone:
            return empty

    def _current(
        self,
        tenant: str,
        collection: str,
        limit: int,
        fetch: Callable[[Shelf, int], Near],
    ) -> list[NearChunk]:
        """Return `limit` fetched chunks of current revisions, or fewer if there are no more."""

        def read(shelf: Shelf) -> list[NearChunk]:
            most = limit
            while True:
                look = partial(fetch, shelf, most)
                fetched, found = shelf.current(look, limit, self._clock(), self._seen)
                # Chunks that are not current took places in the answer.
                if len(found) >= limit or fetched < most:
                    return found
                most *= 2

        with self._reads.taking_part():
            return self._read(tenant, collection, read, [])

    def _names(self, kind: str, tenant: str | None) -> list[CollectionName]:
        parsed = [parse_name(name) for name in self._connection.names()]
        return [
            name
            for name in parsed
            if name is not None and name.kind == kind and tenant in {None, name.tenant}
        ]

    def _size(self, kind: str, tenant: str | None) -> int:
        size = 0
        for name in self._names(kind, tenant):
            collection = self._connection.find(str(name))
            with suppress(CollectionGone):
                size += 0 if collection is None else collection.count()
        return size
