"""The two collections of one knowledge base, and its documents as they are now."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from memapp.chroma.collection import Collection, Records
from memapp.chroma.document_layout import head_vector
from memapp.chroma.document_records import (
    Head,
    StoredChunk,
    decode_chunk,
    decode_head,
    encode_head,
)
from memapp.errors import StoreBroken
from memapp.records import Vector

RECENT = timedelta(minutes=2)
"""How long a commit may still have effects elsewhere: a query under way, a write whose answer was
lost and that comes through late, clocks that differ."""

LOOKS = 8
"""How often a read that meets commits is begun anew."""

_CHUNK = ("metadatas", "documents")


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk of a current revision, its head, and its place in what was fetched."""

    head: Head
    chunk: StoredChunk
    place: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """One knowledge base of one tenant.

    Attributes:
        name: Of the knowledge base.
        chunks: Holds the chunks of all attempts.
        heads: Holds a head for each document.
        batch_size: Most chunks that are one write.
    """

    name: str
    chunks: Collection
    heads: Collection
    batch_size: int

    def head(self, key: str) -> Head | None:
        """Return a document's head, or None if there is no such document."""
        return self.heads_of([key]).get(key)

    def heads_of(self, keys: Iterable[str]) -> dict[str, Head]:
        """Return the heads of those documents that there are, by key."""
        found = self.heads.get(ids=list(keys), include=_CHUNK)
        return self._decoded(found)

    def all_heads(self) -> dict[str, Head]:
        """Return the heads of all documents, by key."""
        return self._decoded(self.heads.get(include=_CHUNK))

    def write_head(self, head: Head) -> None:
        """Make a revision the current one."""
        fields, content = encode_head(head)
        vectors = head_vector(head.key).reshape(1, 2)
        self.heads.upsert([head.key], vectors, [fields], [content])

    def whole(self, key: str) -> tuple[Head, list[StoredChunk]] | None:
        """Return a document's head and all its chunks in order, or None if there is none.

        Raises:
            StoreBroken: some of its chunks are not there.
        """
        for _ in range(LOOKS):
            head = self.head(key)
            if head is None:
                return None
            found = self.chunks.get(ids=head.chunk_ids, include=_CHUNK)
            if len(found.ids) == head.document.chunks:
                chunks = self._decoded_chunks(found)
                return head, sorted(chunks, key=lambda stored: stored.chunk.index)
            # A later revision has become current since, and this one was removed.
        message = "some chunks of a document are missing; delete it and ingest it again"
        raise StoreBroken(message)

    def nearest(
        self,
        vector: Vector,
        most: int,
        *,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
    ) -> Records:
        """Return the `most` nearest chunks of all attempts that satisfy both, nearest first.

        If there are fewer, all are returned, also those that Chroma's index cannot reach.
        """
        records = self.chunks.query(vector, limit=most, where=where, where_document=where_document)
        if len(records.ids) >= most:
            return records
        # Of many nearly equal vectors hnswlib's graph loses some: 1 of 600, when measured.
        all_ids = self.chunks.get(where=where, where_document=where_document).ids
        lost = list(set(all_ids) - set(records.ids))
        if not lost:
            return records
        return _merged(records, self.chunks.get(ids=lost, include=(*_CHUNK, "embeddings")), vector)

    def current(
        self, fetch: Callable[[], Records], now: datetime, seen: "SeenHeads"
    ) -> tuple[Records, list[FoundChunk]]:
        """Fetch chunks, and tell which of them belong to current revisions.

        A document may get a new revision between the fetch and the look at its head: then its old
        chunks have been fetched and do not count any more, and its new ones have not been fetched,
        or only some of them. So a fetch counts only if the head that decides was seen before it.

        Args:
            fetch: Gives chunks with metadata and text.
            now: The current time.
            seen: The heads that this process has seen.

        Returns:
            What was fetched, and the part of it that counts, in the same order.
        """
        for _ in range(LOOKS):
            begun_at = time.monotonic()
            records = fetch()
            chunks = self._decoded_chunks(records)
            heads = self.heads_of({chunk.id.key for chunk in chunks})
            doubtful = [
                heads[chunk.id.key]
                for chunk in chunks
                if chunk.id.key in heads and _may_be_incomplete(chunk, heads[chunk.id.key], now)
            ]
            new = [head for head in doubtful if not seen.before(head, begun_at)]
            if not new:
                break
        return records, [
            FoundChunk(heads[chunk.id.key], chunk, place)
            for place, chunk in enumerate(chunks)
            if chunk.id.key in heads and heads[chunk.id.key].attempt == chunk.id.attempt
        ]

    def _decoded(self, records: Records) -> dict[str, Head]:
        found = zip(records.ids, records.metadatas, records.documents, strict=True)
        return {key: decode_head(self.name, fields, text) for key, fields, text in found}

    def _decoded_chunks(self, records: Records) -> list[StoredChunk]:
        found = zip(records.ids, records.metadatas, records.documents, strict=True)
        return [decode_chunk(id_, fields, text) for id_, fields, text in found]


def _merged(records: Records, more: Records, vector: Vector) -> Records:
    """Put further records, which come with vectors, in their places among the nearest."""
    distances = [] if more.vectors is None else [float(d) for d in 1.0 - more.vectors @ vector]
    rows = [
        *zip(records.ids, records.metadatas, records.documents, records.distances, strict=True),
        *zip(more.ids, more.metadatas, more.documents, distances, strict=True),
    ]
    rows.sort(key=lambda row: row[3])
    return Records(
        ids=[row[0] for row in rows],
        metadatas=[row[1] for row in rows],
        documents=[row[2] for row in rows],
        vectors=None,
        distances=[row[3] for row in rows],
    )


class SeenHeads:
    """When this process first saw which head; safe for many threads.

    Every step is one operation of a dictionary, so threads can only forget a head.
    """

    _MOST = 10_000

    def __init__(self) -> None:
        self._first_seen: dict[str, float] = {}

    def before(self, head: Head, moment: float) -> bool:
        """Tell whether a head that is seen now was seen before a time (`time.monotonic`)."""
        if len(self._first_seen) > self._MOST:
            self._first_seen.clear()
        return self._first_seen.setdefault(head.attempt, time.monotonic()) < moment


def _may_be_incomplete(chunk: StoredChunk, head: Head, now: datetime) -> bool:
    """Tell whether the head may have been written after the chunk was fetched."""
    if now - head.committed_at > RECENT:
        return False
    if chunk.id.attempt == head.attempt:
        # Some of its other chunks may not have been there yet.
        return not head.is_atomic
    # A chunk of a revision that is still being written has a higher number.
    return chunk.id.planned_revision <= head.document.revision
