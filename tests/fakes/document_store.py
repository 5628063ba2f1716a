"""A document store in dictionaries, for tests of what stands on the port."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import RLock

from memapp.errors import Conflict
from memapp.filters import Filter
from memapp.records import Chunk, CollectionSummary, Document, NearChunk, Vector, Vectors


@dataclass
class _Entry:
    document: Document
    text: str
    chunks: list[Chunk]
    vectors: list[Vector]


@dataclass
class _Collection:
    entries: dict[str, _Entry] = field(default_factory=dict)


class FakeDocuments:
    """Obeys `ports.DocumentStore` in one process."""

    def __init__(self) -> None:
        self._collections: dict[tuple[str, str], _Collection] = {}
        self._lock = RLock()

    def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        entry = self._entry(tenant, collection, document_id)
        return None if entry is None else entry.document

    def scan(self, tenant: str, collection: str) -> list[Document]:
        with self._lock:
            return [entry.document for entry in self._entries(tenant, collection).values()]

    def begin(self, tenant: str, document: Document, text: str) -> "FakeRevision":
        with self._lock:
            home = self._collections.setdefault((tenant, document.collection), _Collection())
        return FakeRevision(self, tenant, home, _Entry(document, text, [], []))

    def text(self, tenant: str, collection: str, document_id: str) -> str | None:
        entry = self._entry(tenant, collection, document_id)
        return None if entry is None else entry.text

    def chunks(self, tenant: str, collection: str, document_id: str) -> list[Chunk] | None:
        entry = self._entry(tenant, collection, document_id)
        return None if entry is None else list(entry.chunks)

    def delete(self, tenant: str, collection: str, document_id: str) -> bool:
        with self._lock:
            return self._entries(tenant, collection).pop(document_id, None) is not None

    def nearest(
        self,
        tenant: str,
        collection: str,
        vector: Vector,
        limit: int,
        condition: Filter | None,
    ) -> list[NearChunk]:
        near = sorted(self._near(tenant, collection, vector), key=lambda one: -one.cosine)
        return near[:limit]

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
        wanted = [phrase.lower() for phrase in phrases]
        found = [
            near
            for near in self._near(tenant, collection, vector)
            if any(phrase in near.chunk.text.lower() for phrase in wanted)
        ]
        return found[:limit]

    def exists(self, tenant: str, collection: str) -> bool:
        return (tenant, collection) in self._collections

    def collections(self, tenant: str) -> list[CollectionSummary]:
        with self._lock:
            names = sorted(name for owner, name in self._collections if owner == tenant)
            return [self._summary(tenant, name) for name in names]

    def drop(self, tenant: str, collection: str) -> bool:
        with self._lock:
            return self._collections.pop((tenant, collection), None) is not None

    def count(self, tenant: str | None) -> Mapping[str, int]:
        with self._lock:
            kept = [s for s in self._collections if tenant in {None, s[0]}]
            summaries = [self._summary(owner, name) for owner, name in kept]
        return {
            "documents": sum(summary.documents for summary in summaries),
            "chunks": sum(summary.chunks for summary in summaries),
        }

    def sweep(self, now: datetime) -> int:
        return 0

    def _entries(self, tenant: str, collection: str) -> dict[str, _Entry]:
        return self._collections.get((tenant, collection), _Collection()).entries

    def _entry(self, tenant: str, collection: str, document_id: str) -> _Entry | None:
        with self._lock:
            return self._entries(tenant, collection).get(document_id)

    def _near(self, tenant: str, collection: str, vector: Vector) -> Iterator[NearChunk]:
        with self._lock:
            entries = list(self._entries(tenant, collection).values())
        for entry in entries:
            for chunk, own in zip(entry.chunks, entry.vectors, strict=True):
                yield NearChunk(entry.document, chunk, float(own @ vector))

    def _summary(self, tenant: str, name: str) -> CollectionSummary:
        entries = self._entries(tenant, name).values()
        chunks = sum(len(entry.chunks) for entry in entries)
        return CollectionSummary(name, len(entries), chunks)


class FakeRevision:
    """Obeys `ports.Revision`."""

    def __init__(self, store: FakeDocuments, tenant: str, home: _Collection, entry: _Entry) -> None:
        self._store = store
        self._tenant = tenant
        self._home = home
        self._entry = entry

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        self._entry.chunks += chunks
        self._entry.vectors += list(vectors)

    def commit(self) -> Document:
        document = self._entry.document
        with self._store._lock:
            name = (self._tenant, document.collection)
            if self._store._collections.get(name) is not self._home:
                message = "the collection was dropped meanwhile"
                raise Conflict(message, code="collection_dropped")
            before = self._home.entries.get(document.id)
            self._entry.document = replace(
                document,
                revision=1 if before is None else before.document.revision + 1,
                chunks=len(self._entry.chunks),
                created_at=document.created_at if before is None else before.document.created_at,
            )
            self._home.entries[document.id] = self._entry
        return self._entry.document

    def discard(self) -> None:
        self._entry.chunks.clear()
