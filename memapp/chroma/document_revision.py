"""A new revision of a document while it is being written; `ports.Revision` says what it promises.

The chunks come first, under ids of their own; writing the head makes them current; what was current
before is removed last. So a process may die at any point.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from memapp.chroma.document_layout import ChunkId, document_key, new_attempt
from memapp.chroma.document_records import Former, Head, encode_chunk
from memapp.chroma.document_shelf import RECENT, Shelf
from memapp.chroma.faults import CollectionGone, OutcomeUnknown
from memapp.errors import Conflict, StoreUnavailable
from memapp.ports import Clock
from memapp.records import Chunk, Document, Vectors

ATOMIC_CHUNKS = 16
"""So many chunks, whatever their size, are one write to Chroma and become visible at once."""

MOST_FORMER = 50
"""Revisions that are remembered until they may be removed; further ones are swept away."""


@contextmanager
def _told_as_dropped() -> Iterator[None]:
    """Tell a drop of the collection as the conflict that it is; Chroma itself is well."""
    try:
        yield
    except CollectionGone as error:
        raise _dropped() from error


class ChromaRevision:
    """A revision that nobody sees before it is committed; used by one thread."""

    @_told_as_dropped()
    def __init__(
        self, shelf: Shelf, document: Document, text: str, clock: Clock, *, grace: timedelta
    ) -> None:
        """Begin to write.

        Args:
            shelf: Where.
            document: What; `revision`, `chunks` and `created_at` are found out.
            text: The whole text.
            clock: Tells the time.
            grace: A revision that was not written to for so long may be swept away.
        """
        self._shelf = shelf
        self._document = document
        self._text = text
        self._clock = clock
        self._grace = grace
        self._key = document_key(document.id)
        before = shelf.head(self._key)
        self._attempt = new_attempt(1 if before is None else before.document.revision + 1)
        self._ids: list[str] = []
        self._end = 0
        self._writes = 0
        self._written_at = clock()
        self._may_be_current = False

    @_told_as_dropped()
    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Store the next chunks."""
        now = self._clock()
        ids: list[str] = []
        fields = []
        for chunk in chunks:
            gap = self._text[self._end : chunk.start]
            ids.append(str(ChunkId(self._key, self._attempt, chunk.index)))
            fields.append(encode_chunk(self._document, chunk, gap, now))
            self._end = max(self._end, chunk.end)
        texts = [chunk.text for chunk in chunks]
        # Nobody else writes under these ids.
        self._shelf.chunks.upsert(ids, vectors, fields, texts, may_repeat=True)
        self._ids += ids
        self._writes += 1
        self._written_at = now

    @_told_as_dropped()
    def commit(self) -> Document:
        """Make the revision the current one, and remove those before it that are surely over."""
        self._check_complete()
        before = self._shelf.head(self._key)
        head = self._head_after(before)
        self._may_be_current = True
        current = self._write_head(head)
        if self._is_ours(current) and self._is_lost():
            # Deleted or replaced after it was current, or never whole: then it is current still.
            current = self._current()
            if self._is_ours(current):
                self._shelf.heads.delete([self._key], where={"attempt": self._attempt})
                raise _dropped()
        if not self._is_ours(current):
            self._remove(self._ids)
            if current is None:
                return head.document
            if current.document.sha256 == head.document.sha256:
                return current.document
            raise _overtaken()
        if before is not None:
            now = head.committed_at
            self._remove(head.ids_of(one for one in before.past if not _is_fresh(one, now)))
        return head.document

    def discard(self) -> None:
        """Remove what was stored of it, unless it may have become current."""
        if not self._may_be_current:
            with suppress(CollectionGone):
                self._shelf.chunks.delete(self._ids)

    def _check_complete(self) -> None:
        if self._clock() - self._written_at > self._grace / 2:
            message = "the ingest paused for too long, so it may have been cleared away; repeat it"
            raise Conflict(message, code="ingest_stalled")
        if len(self._shelf.chunks.get(ids=self._ids).ids) < len(self._ids):
            raise _dropped()

    def _head_after(self, before: Head | None) -> Head:
        document = replace(
            self._document,
            revision=1 if before is None else before.document.revision + 1,
            chunks=len(self._ids),
            created_at=self._document.created_at if before is None else before.document.created_at,
        )
        most = min(ATOMIC_CHUNKS, self._shelf.batch_size)
        now = self._clock()
        fresh = [] if before is None else [one for one in before.past if _is_fresh(one, now)]
        return Head(
            document,
            attempt=self._attempt,
            tail=self._text[self._end :],
            committed_at=now,
            is_atomic=self._writes <= 1 and len(self._ids) <= most,
            former=fresh[-MOST_FORMER:],
        )

    def _write_head(self, head: Head) -> Head | None:
        """Make the revision the current one; return the one that is afterwards."""
        try:
            self._shelf.write_head(head)
        except OutcomeUnknown:
            current = self._current()
            if not self._is_ours(current):
                raise
            return current
        return self._current()

    def _current(self) -> Head | None:
        try:
            return self._shelf.head(self._key)
        except CollectionGone:
            return None

    def _is_ours(self, head: Head | None) -> bool:
        return head is not None and head.attempt == self._attempt

    def _is_lost(self) -> bool:
        """Tell whether the chunks are gone: dropped, deleted, or replaced."""
        try:
            return not self._shelf.chunks.get(ids=self._ids[:1]).ids
        except CollectionGone:
            return True

    def _remove(self, ids: Sequence[str]) -> None:
        # The revision is stored; what cannot be removed now is swept away later.
        with suppress(StoreUnavailable):
            self._shelf.chunks.delete(ids)


def _is_fresh(former: Former, now: datetime) -> bool:
    """Tell whether a former revision must keep its chunks.

    A commit whose answer was lost may still come through, and only just over.
    """
    return now - former.committed_at <= RECENT


def _dropped() -> Conflict:
    message = "the collection was dropped meanwhile; ingest it again"
    return Conflict(message, code="collection_dropped")


def _overtaken() -> Conflict:
    message = "another ingest of the document came in between; look at it, or ingest yours again"
    return Conflict(message, code="concurrent_change")
