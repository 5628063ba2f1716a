"""The two collections of one knowledge base, and its documents as they are now."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from memapp.chroma.collection import Collection, Records
from memapp.chroma.directions import direction
from memapp.chroma.document_cache import DocumentCache
from memapp.chroma.document_layout import (
    ChunkId,
    attempt_id,
    attempt_part,
    document_part,
    parse_chunk_id,
)
from memapp.chroma.document_records import (
    Head,
    StoredChunk,
    decode_chunk,
    decode_head,
    encode_head,
)
from memapp.chroma.head_counts import HeadCounts
from memapp.chroma.shared_reads import SharedReads
from memapp.errors import StoreBroken
from memapp.records import Chunk, NearChunk, Vector

Near = list[tuple[str, float]]
"""Ids of records with their cosine distances, nearest first."""

RECENT = timedelta(minutes=2)
"""How long a commit may still have effects elsewhere: a query under way, a write whose answer was
lost and that comes through late, clocks that differ."""

LOOKS = 8
"""How often a read that meets commits is begun anew."""

_CHUNK = ("metadatas", "documents")
_FEW = 100
# To ask by attempt costs Chroma 0.2 microseconds for each head that there is, and saves 0.2
# milliseconds and 10 microseconds for each that is asked for.
_BY_ATTEMPT = range(3, 1001)
_HEADS_FOR_EACH_ATTEMPT = 100


@dataclass(frozen=True, slots=True)
class Shelf:
    """One knowledge base of one tenant.

    Attributes:
        name: Of the knowledge base.
        chunks: Holds the chunks of all attempts.
        heads: Holds a head for each document.
        batch_size: Most chunks that are one write.
        cache: What this process keeps of all knowledge bases.
        counts: About how many documents they have.
        reads: Makes reads of all processes together.
    """

    name: str
    chunks: Collection
    heads: Collection
    batch_size: int
    cache: DocumentCache
    counts: HeadCounts
    reads: SharedReads

    def head(self, key: str) -> Head | None:
        """Return a document's head, or None if there is no such document."""
        return self.heads_of([key]).get(key)

    def heads_of(self, keys: Iterable[str]) -> dict[str, Head]:
        """Return the heads of those documents that there are, by key."""
        found = self.heads.get(ids=list(keys), include=_CHUNK)
        return self._decoded(found)

    def heads_behind(self, attempts: Iterable[str]) -> dict[str, Head]:
        """Return the heads, as they are now, of the documents that attempts wrote, by key.

        Args:
            attempts: As `attempt_id` names them.
        """
        parts = (name.partition("/") for name in dict.fromkeys(attempts))
        one_of = {key: attempt for key, _, attempt in parts}
        unchanged = self._unchanged(one_of)
        others = [key for key in one_of if key not in unchanged]
        return unchanged | self.heads_of(others) if others else unchanged

    def all_heads(self) -> dict[str, Head]:
        """Return the heads of all documents, by key."""
        return self._decoded(self.heads.get(include=_CHUNK))

    def chunk_counts(self) -> list[int]:
        """Return how many chunks each document has, without reading the documents."""
        found = self.heads.get(include=("metadatas",))
        return [fields["chunks"] for fields in found.metadatas]

    def write_head(self, head: Head) -> None:
        """Make a revision the current one; a first one only if there is none yet."""
        fields, content = encode_head(head)
        vectors = direction(head.key, 2)[np.newaxis]
        # `add` leaves what is there: of first revisions at the same time one is taken.
        write = self.heads.add if head.document.revision == 1 else self.heads.upsert
        write([head.key], vectors, [fields], [content])

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
    ) -> Near:
        """Return the `most` nearest chunks of all attempts that satisfy both, nearest first.

        If there are fewer, all are returned, also those that Chroma's index cannot reach.
        """
        if where_document is None:
            records = self.reads.nearest(self.chunks, vector, limit=most, where=where)
        else:
            records = self.chunks.query(
                vector,
                limit=most,
                where=where,
                where_document=where_document,
                include=("distances",),
            )
        near = list(zip(records.ids, records.distances, strict=True))
        if len(near) >= most:
            return near
        # Of many nearly equal vectors hnswlib's graph loses some: 1 of 600, when measured.
        all_ids = self.chunks.get(where=where, where_document=where_document).ids
        return _merged(
            near, self._distances(set(all_ids).difference(one for one, _ in near), vector)
        )

    def matching(
        self, pattern: str, vector: Vector, most: int, *, where: Mapping[str, Any] | None = None
    ) -> Near:
        """Return the chunks of all attempts that satisfy both, nearest first.

        These are all if they are few, else the `most` nearest.
        """
        condition = {"$regex": pattern}
        # Chroma goes through all texts for it, 18 ms for 20,000: where few match, only once.
        found = self.chunks.get(where=where, where_document=condition, limit=_FEW + 1).ids
        if len(found) > _FEW:
            return self.nearest(vector, most, where=where, where_document=condition)
        return _merged(self._distances(found, vector))

    def current(
        self, fetch: Callable[[], Near], limit: int, now: datetime, seen: "SeenHeads"
    ) -> tuple[int, list[NearChunk]]:
        """Fetch chunks, and tell which of them belong to current revisions.

        A document may get a new revision between the fetch and the look at its head: then its old
        chunks have been fetched and do not count any more, and its new ones have not been fetched,
        or only some of them. So a fetch counts only if the head that decides was seen before it.

        What the chunks hold is read after their heads, if it is not kept here. One that is not
        there any more belongs to a revision that was replaced or deleted since.

        Args:
            fetch: Gives ids of chunks and their distances.
            limit: How many chunks are wanted at most.
            now: The current time.
            seen: The heads that this process has seen.

        Returns:
            How many were fetched, and the first of them that count, in the same order.
        """
        lost: set[str] = set()
        for _ in range(LOOKS):
            begun_at = time.monotonic()
            near = fetch()
            attempts = [attempt_part(raw) for raw, _ in near]
            heads = self.heads_behind(attempts)
            # Taking ids apart is the dearer question, and most heads have been seen long before.
            recent = {key: head for key, head in heads.items() if now - head.committed_at <= RECENT}
            unseen = {key: one for key, one in recent.items() if not seen.before(one, begun_at)}
            is_doubtful = _are_doubtful(near, unseen)
            current = {attempt_id(key, head.attempt): head for key, head in heads.items()}
            counting = [
                (raw, head, distance)
                for (raw, distance), head in zip(near, map(current.get, attempts), strict=True)
                if head is not None
            ][:limit]
            chunks = self._read([raw for raw, _, _ in counting])
            gone = {raw for raw, _, _ in counting if raw not in chunks}
            # What is still missing at the next look is missing from a damaged store.
            if not is_doubtful and gone <= lost:
                break
            lost = gone
        return len(near), [
            NearChunk(head.document, chunks[raw], 1.0 - distance)
            for raw, head, distance in counting
            if raw in chunks
        ]

    def _unchanged(self, attempts: Mapping[str, str]) -> dict[str, Head]:
        """Return those heads of these attempts that are kept here and, in Chroma, still current.

        Where it is cheaper to read them, none is returned.

        Args:
            attempts: One of each document, by its key.
        """
        kept = self.cache.heads.find(attempts.values())
        most = _HEADS_FOR_EACH_ATTEMPT * len(kept)
        if len(kept) not in _BY_ATTEMPT or self.counts.guess(self.heads) > most:
            return {}
        asked = {key: attempt for key, attempt in attempts.items() if attempt in kept}
        return {key: kept[asked[key]] for key in self.reads.current(self.heads, asked)}

    def _read(self, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return those of the chunks that are kept here or are there, by id."""
        chunks = self.cache.chunks.find(ids)
        missing = [one for one in ids if one not in chunks]
        if not missing:
            return chunks
        found = self.chunks.get(ids=missing, include=_CHUNK)
        read = {
            raw: stored.chunk
            for raw, stored in zip(found.ids, self._decoded_chunks(found), strict=True)
        }
        self.cache.chunks.keep(read)
        return chunks | read

    def _distances(self, ids: Iterable[str], vector: Vector) -> Near:
        found = self.chunks.get(ids=list(ids), include=("embeddings",))
        if found.vectors is None:
            return []
        return list(zip(found.ids, map(float, 1.0 - found.vectors @ vector), strict=True))

    def _decoded(self, records: Records) -> dict[str, Head]:
        attempts = [fields["attempt"] for fields in records.metadatas]
        known = self.cache.heads.find(attempts)
        found = zip(records.ids, records.metadatas, records.documents, attempts, strict=True)
        heads = {
            key: known.get(attempt) or decode_head(self.name, fields, text)
            for key, fields, text, attempt in found
        }
        self.cache.heads.keep(
            {head.attempt: head for head in heads.values() if head.attempt not in known}
        )
        return heads

    def _decoded_chunks(self, records: Records) -> list[StoredChunk]:
        found = zip(records.ids, records.metadatas, records.documents, strict=True)
        return [decode_chunk(id_, fields, text) for id_, fields, text in found]


def _merged(*parts: Near) -> Near:
    """Put chunks in order, nearest first."""
    return sorted((one for part in parts for one in part), key=lambda one: one[1])


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


def _are_doubtful(near: Near, recent: Mapping[str, Head]) -> bool:
    """Tell whether these chunks may have been fetched before one of the heads was written."""
    ids = [parse_chunk_id(raw) for raw, _ in near if document_part(raw) in recent] if recent else ()
    return any(_may_be_incomplete(one, recent[one.key]) for one in ids)


def _may_be_incomplete(chunk: ChunkId, head: Head) -> bool:
    """Tell whether a chunk may have been fetched before all of its head's revision was there."""
    if chunk.attempt == head.attempt:
        # Some of its other chunks may not have been there yet.
        return not head.is_atomic
    # A chunk of a revision that is still being written has a higher number.
    return chunk.planned_revision <= head.document.revision
