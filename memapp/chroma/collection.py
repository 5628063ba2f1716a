"""A handle on one Chroma collection that outlives reconnects, forks and re-creation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from chromadb.api.models.Collection import Collection as ChromaCollection
from chromadb.errors import NotFoundError

from memapp.chroma.bundling import bundled, unbundled
from memapp.chroma.faults import CollectionGone
from memapp.chroma.session import Session, resolve
from memapp.records import Vector, Vectors

if TYPE_CHECKING:
    from memapp.chroma.connection import Connection

T = TypeVar("T")

MAX_REQUEST_BYTES = 30_000_000
"""Most bytes in one write, well below Chroma's own limit of 40 MiB."""


MAX_IDS = 10_000
"""Most ids in one read; SQLite in Chroma 1.5.9 fails above 32,766 variables."""

LOOKS = 3
"""How often a query is made that meets deletions half-way, which end within milliseconds."""

MAX_RESULTS = 2**31 - 1
"""Most results of one query; beyond it Chroma 1.5.9 refuses the number."""


@dataclass(frozen=True, slots=True)
class Records:
    """Records in parallel lists; parts that were not asked for are empty.

    Attributes:
        ids: Always there.
        metadatas: Include `"metadatas"`.
        documents: Include `"documents"`.
        vectors: Include `"embeddings"`; float32, shape (records, dimensions); else None.
        distances: Queries that include `"distances"`: cosine distance, 0 to 2, nearest first.
    """

    ids: list[str]
    metadatas: list[Mapping[str, Any]]
    documents: list[str]
    vectors: Vectors | None
    distances: list[float]


class Collection:
    """One collection, by name.

    Every method may raise what `Connection.run` raises. Reads and deletes raise `CollectionGone`
    when the collection was dropped, or was dropped and made anew with other metadata; writes make
    it anew if the handle comes from `Connection.ensure`.

    A write whose answer is lost raises `OutcomeUnknown`: made again, it might undo what others have
    done since. With `may_repeat` it is made again all the same, where nobody can have. One that
    takes too long, or that Chroma freezes over, fails as a read does, and is never made again: it
    may have been made, or may be yet.

    Attributes:
        name: Its name.
        metadata: Its metadata as stored when the handle was made.
    """

    def __init__(
        self,
        connection: "Connection",
        stored: ChromaCollection,
        *,
        creation: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a handle on what is stored now.

        Args:
            connection: Through which it was found.
            stored: Chroma's own handle.
            creation: Metadata with which writes make it anew if it was dropped; None never does.
        """
        self.name = stored.name
        self.metadata: Mapping[str, Any] = dict(stored.metadata or {})
        self._connection = connection
        self._creation = creation
        self._judged = stored.id

    @property
    def identity(self) -> str:
        """What tells this collection from others that had its name: Chroma's UUID for it."""
        return str(self._judged)

    def get(
        self,
        *,
        ids: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        include: Sequence[str] = (),
    ) -> Records:
        """Return the records that satisfy all conditions, in no promised order.

        Args:
            ids: Only these; unknown and repeated ones are ignored. None means all, [] none.
            where: A condition on metadata, in Chroma's language.
            where_document: A condition on documents, in Chroma's language.
            limit: At most so many; not together with more than `MAX_IDS` ids.
            offset: Leave out so many at the beginning.
            include: What to return besides ids: `metadatas`, `documents`, `embeddings`.
        """
        arguments: dict[str, Any] = {
            "where": where,
            "where_document": where_document,
            "limit": limit,
            "offset": offset,
            "include": list(include),
        }
        if ids is None:
            return self._get(arguments, None)
        unique = list(dict.fromkeys(ids))
        parts = [unique[i : i + MAX_IDS] for i in range(0, len(unique), MAX_IDS)]
        return _joined([self._get(arguments, part) for part in parts])

    def query(
        self,
        vector: Vector,
        *,
        limit: int,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        include: Sequence[str] = ("metadatas", "documents", "distances"),
    ) -> Records:
        """Return the `limit` records nearest to a vector, nearest first."""
        return self.query_many(
            vector[np.newaxis],
            limit=limit,
            where=where,
            where_document=where_document,
            include=include,
        )[0]

    def query_many(
        self,
        vectors: Vectors,
        *,
        limit: int,
        where: Mapping[str, Any] | None = None,
        where_document: Mapping[str, Any] | None = None,
        include: Sequence[str] = ("metadatas", "documents", "distances"),
    ) -> list[Records]:
        """Return the records nearest to each vector, in the order of the vectors.

        Fewer than `limit` mean that there are no more, unless deletions go on and on.
        """
        if limit < 1 or not len(vectors):
            return [_nothing() for _ in vectors]
        arguments: dict[str, Any] = {
            "query_embeddings": list(vectors),
            "n_results": min(limit, MAX_RESULTS),
            "where": where,
            "where_document": where_document,
            "include": list(include),
        }
        for _ in range(LOOKS):
            found = self._run(partial(ChromaCollection.query, **arguments))
            whole = [_whole(found, row) for row in range(len(vectors))]
            if [*map(len, whole)] == [*map(len, found["ids"])]:
                break  # Else a record that is being deleted took a place.
        return [_records(found, include, _picking(row, kept)) for row, kept in enumerate(whole)]

    def add(
        self,
        ids: Sequence[str],
        vectors: Vectors,
        metadatas: Sequence[Mapping[str, Any]],
        documents: Sequence[str],
    ) -> None:
        """Store records, in order; those whose id is there already are left as they are."""
        self._write(ChromaCollection.add, ids, vectors, metadatas, documents)

    def upsert(
        self,
        ids: Sequence[str],
        vectors: Vectors,
        metadatas: Sequence[Mapping[str, Any]],
        documents: Sequence[str],
        *,
        may_repeat: bool = False,
    ) -> None:
        """Store records, in order, over those that are there.

        Metadata is merged with what is there: give None for a key to remove it. An empty document
        leaves the one that is there.
        """
        self._write(
            ChromaCollection.upsert, ids, vectors, metadatas, documents, may_repeat=may_repeat
        )

    def update(
        self,
        ids: Sequence[str],
        *,
        vectors: Vectors | None = None,
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[str] | None = None,
        may_repeat: bool = False,
    ) -> None:
        """Change parts of records that are there; unknown ids are ignored.

        Metadata is merged with what is there: give None for a key to remove it. An empty document
        leaves the one that is there.
        """
        self._write(
            ChromaCollection.update, ids, vectors, metadatas, documents, may_repeat=may_repeat
        )

    def delete(
        self,
        ids: Sequence[str],
        *,
        where: Mapping[str, Any] | None = None,
        may_repeat: bool = True,
    ) -> None:
        """Remove records by id, with `where` only those that satisfy it now."""
        unique = list(dict.fromkeys(ids))
        size = self._connection.batch_size
        for start in range(0, len(unique), size):
            chosen: dict[str, Any] = {"ids": unique[start : start + size], "where": where}
            self._run(partial(ChromaCollection.delete, **chosen), may_repeat=may_repeat)

    def count(self) -> int:
        """Return how many records there are."""
        return self._run(ChromaCollection.count)

    def _get(self, arguments: Mapping[str, Any], ids: list[str] | None) -> Records:
        found = self._run(partial(ChromaCollection.get, ids=ids, **arguments))
        return _records(found, arguments["include"], lambda part: part)

    def _run(
        self,
        operation: Callable[[ChromaCollection], T],
        *,
        remake: bool = False,
        may_repeat: bool = True,
    ) -> T:
        def attempt(session: Session) -> T:
            if self.name in session.collections:
                try:
                    return operation(self._resolve(session, remake=False))
                except NotFoundError:
                    session.collections.pop(self.name, None)
            try:
                return operation(self._resolve(session, remake=remake))
            except NotFoundError as error:
                message = f"the collection {self.name} was dropped"
                raise CollectionGone(message) from error

        return self._connection.run(attempt, may_repeat=may_repeat)

    def _resolve(self, session: Session, *, remake: bool) -> ChromaCollection:
        collection = resolve(session, self.name, self._creation if remake else None)
        if collection.id != self._judged:
            # Whoever holds this handle judged the collection by its metadata.
            if dict(collection.metadata or {}) != dict(self.metadata):
                message = f"the collection {self.name} was made anew"
                raise CollectionGone(message)
            self._judged = collection.id
        return collection

    def _write(
        self,
        method: Callable[..., object],
        ids: Sequence[str],
        vectors: Vectors | None,
        metadatas: Sequence[Mapping[str, Any]] | None,
        documents: Sequence[str] | None,
        *,
        may_repeat: bool = False,
    ) -> None:
        stored = partial(bundled, replaces=method is not ChromaCollection.add)
        for part in self._by_size(ids, vectors, metadatas, documents):
            arguments = {
                "ids": list(ids[part]),
                "embeddings": None if vectors is None else vectors[part],
                "metadatas": None if metadatas is None else [*map(stored, metadatas[part])],
                # No text is none: an empty one would be indexed like any other.
                "documents": None if documents is None else [t or None for t in documents[part]],
            }
            self._run(partial(method, **arguments), remake=True, may_repeat=may_repeat)

    def _by_size(
        self,
        ids: Sequence[str],
        vectors: Vectors | None,
        metadatas: Sequence[Mapping[str, Any]] | None,
        documents: Sequence[str] | None,
    ) -> Iterator[slice]:
        dimensions = 0 if vectors is None else vectors.shape[1]
        start = size = 0
        for i in range(len(ids)):
            weight = _weight(
                dimensions,
                {} if metadatas is None else metadatas[i],
                "" if documents is None else documents[i],
            )
            full = i - start == self._connection.batch_size
            if i > start and (full or size + weight > MAX_REQUEST_BYTES):
                yield slice(start, i)
                start, size = i, 0
            size += weight
        if start < len(ids):
            yield slice(start, len(ids))


def _weight(dimensions: int, metadata: Mapping[str, Any], document: str) -> int:
    """Return an upper bound for the bytes of one record in a request.

    A character takes at most 6 bytes in JSON, a float at most 25, and base64 far less.
    """
    text = len(document) + sum(len(key) + len(str(value)) for key, value in metadata.items())
    return 25 * dimensions + 6 * text + 100


def _records(found: Any, include: Sequence[str], pick: Callable[[Any], Any]) -> Records:
    ids: list[str] = pick(found["ids"])
    vectors = None
    if "embeddings" in include:
        vectors = np.asarray(pick(found["embeddings"]), dtype=np.float32)
        vectors = vectors.reshape(len(ids), -1) if ids else np.empty((0, 0), dtype=np.float32)
    return Records(
        ids=list(ids),
        metadatas=[*map(unbundled, _part(found, "metadatas", include, pick, {}))],
        documents=_part(found, "documents", include, pick, ""),
        vectors=vectors,
        distances=_part(found, "distances", include, pick, 0.0),
    )


def _whole(found: Any, row: int) -> list[int]:
    """Return the places, in a query's answer for one vector, of the records that are there.

    A record that was deleted while Chroma answered comes with its id and nothing else; every
    record of ours has metadata, so that such a one can be told and left out.
    """
    told = [part[row] for name in ("metadatas", "documents") if (part := found.get(name))]
    return [
        i
        for i in range(len(found["ids"][row]))
        if not told or any(part[i] is not None for part in told)
    ]


def _picking(row: int, places: Sequence[int]) -> Callable[[Any], Any]:
    """Return what picks, from each part of a query's answer, some of those for one vector."""
    return lambda part: [part[row][i] for i in places]


def _part(
    found: Any, name: str, include: Sequence[str], pick: Callable[[Any], Any], missing: Any
) -> list[Any]:
    if name not in include or found.get(name) is None:
        return []
    return [missing if value is None else value for value in pick(found[name])]


def _joined(parts: Sequence[Records]) -> Records:
    if len(parts) == 1:
        return parts[0]
    vectors = [part.vectors for part in parts if part.vectors is not None and part.ids]
    return Records(
        ids=[id_ for part in parts for id_ in part.ids],
        metadatas=[metadata for part in parts for metadata in part.metadatas],
        documents=[document for part in parts for document in part.documents],
        vectors=np.concatenate(vectors) if vectors else None,
        distances=[],
    )


def _nothing() -> Records:
    return Records(ids=[], metadatas=[], documents=[], vectors=None, distances=[])
