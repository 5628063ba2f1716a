"""Compute all vectors of a store anew, after the embedder was changed.

Texts are kept, so nothing is lost. A collection is rebuilt beside the old one under another name
and takes its place when it is complete; a run that was cut off is finished by the next one. The
application must be stopped meanwhile: what it writes to the old collection would be left behind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memapp.chroma import memory_layout
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.directions import direction
from memapp.chroma.identity import KEY, identity_metadata
from memapp.ports import Embedder

PREFIX = "reembed."
"""Begins the names of collections that are being rebuilt; no collection of ours begins so."""

BATCH = 200

Wording = Callable[[str, Mapping[str, Any], str], str]
"""Gives what the embedder must see of a record: from its collection's name, metadata and text."""


@dataclass(frozen=True, slots=True)
class Reembedded:
    """How far one collection is: `done` of `total` records.

    Attributes:
        was_right: It had been written with this embedder, and nothing was done.
    """

    collection: str
    done: int = 0
    total: int = 0
    was_right: bool = False

    @property
    def is_last(self) -> bool:
        """Whether the collection is complete."""
        return self.done == self.total


def reembed(
    connection: Connection, embedder: Embedder, wording: Wording, *, rebuilds_all: bool = False
) -> Iterator[Reembedded]:
    """Rebuild every collection that was written with another embedder.

    Args:
        connection: The store.
        embedder: The one to use from now on.
        wording: See `Wording`.
        rebuilds_all: Rebuild those too that are right, for their index may be damaged.

    Yields:
        The progress, collection by collection.
    """
    _finish_cut_off(connection)
    for name in connection.names():
        old = connection.find(name)
        if old is None or KEY not in old.metadata:
            continue
        if old.metadata[KEY] == str(embedder.identity) and not rebuilds_all:
            yield Reembedded(name, was_right=True)
        else:
            yield from _rebuild(connection, old, embedder, wording)


def _finish_cut_off(connection: Connection) -> None:
    names = set(connection.names())
    for name in names:
        if not name.startswith(PREFIX):
            continue
        wanted = name.removeprefix(PREFIX)
        if wanted in names:
            connection.drop(name)  # Perhaps incomplete: the old one is still there.
        else:
            connection.rename(name, wanted)  # The old one is dropped only when it is complete.


def _rebuild(
    connection: Connection, old: Collection, embedder: Embedder, wording: Wording
) -> Iterator[Reembedded]:
    metadata = {**old.metadata, **identity_metadata(embedder.identity)}
    new = connection.ensure(PREFIX + old.name, metadata)
    ids = old.get().ids
    for start in range(0, len(ids), BATCH):
        if start:
            yield Reembedded(old.name, start, len(ids))
        _copy(old, new, ids[start : start + BATCH], embedder, wording)
    connection.drop(old.name)
    connection.rename(new.name, old.name)
    yield Reembedded(old.name, len(ids), len(ids))


def _copy(
    old: Collection, new: Collection, ids: Sequence[str], embedder: Embedder, wording: Wording
) -> None:
    records = old.get(ids=ids, include=("metadatas", "documents"))
    found = list(zip(records.metadatas, records.documents, strict=True))
    rows = [row for row, (fields, _) in enumerate(found) if _has_vector_of_text(old.name, fields)]
    dimensions = embedder.identity.dimensions
    vectors = np.stack([direction(one, dimensions) for one in records.ids])
    if rows:
        vectors[rows] = embedder.embed_documents([wording(old.name, *found[row]) for row in rows])
    new.upsert(records.ids, vectors, records.metadatas, records.documents, may_repeat=True)


def _has_vector_of_text(collection: str, fields: Mapping[str, Any]) -> bool:
    """Tell whether a record is a chunk or a memory, not what is kept beside memories."""
    return memory_layout.parse_name(collection) is None or "scope" in fields
