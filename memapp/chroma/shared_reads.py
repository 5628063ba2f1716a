"""Reads that all processes of a host make together.

A query for the ten nearest of 7,000 costs Chroma 1.8 ms of processor time by itself, each of four
in one request 0.66, each of sixteen 0.4 (ids and distances; Chroma 1.5.9). Who is alone in its
process reads by itself: then there is little to share, and to ask another process takes time.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from memapp.chroma.collection import Collection, Records
from memapp.chroma.connection import Connection
from memapp.joint_calls import JointCalls
from memapp.records import Vector

_DISTANCES = ("distances",)
_TOGETHER = 16

_MOST_RESULTS = 1_000
"""Of one query that goes together with others, for Chroma answers all of them in one piece."""

_LATELY = 0.1
"""Seconds for which it is taken that others read, too, after two have at the same time."""


class _Nearest(NamedTuple):
    """A query for the nearest records; those that have all of this in common go together."""

    collection: str
    identity: str
    limit: int
    where: str
    include: tuple[str, ...]


class _Current(NamedTuple):
    """A question which heads are as they were."""

    collection: str
    identity: str


class SharedReads:
    """Reads that go together; safe for many threads."""

    def __init__(self, connection: Connection, company: str) -> None:
        """Prepare; nothing is opened yet.

        Args:
            connection: To the collections.
            company: Name of the processes of this host that ask the same Chroma; see `Errands`.
        """
        self._connection = connection
        self._lock = Lock()
        self._under_way = 0
        self._shared_until = 0.0
        self._calls: JointCalls[_Nearest | _Current, Any, Any] = JointCalls(
            company, self._read, most=_TOGETHER
        )

    @contextmanager
    def taking_part(self) -> Iterator[None]:
        """Have the reads within the `with` block go together with those of others."""
        with self._lock:
            self._under_way += 1
            if self._under_way > 1:
                self._shared_until = time.monotonic() + _LATELY
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def nearest(
        self,
        collection: Collection,
        vector: Vector,
        *,
        limit: int,
        where: Mapping[str, Any] | None = None,
        include: tuple[str, ...] = _DISTANCES,
    ) -> Records:
        """Return the `limit` records nearest to a vector, as `Collection.query` does.

        Raises:
            StoreUnavailable: as `Collection.query` does.
        """
        found: Records | None = None
        if limit <= _MOST_RESULTS and self._is_shared():
            condition = json.dumps(where)
            kind = _Nearest(collection.name, collection.identity, limit, condition, include)
            found = self._calls.submit(kind, vector)
        if found is None:
            return collection.query(vector, limit=limit, where=where, include=include)
        return found

    def current(self, heads: Collection, attempts: Mapping[str, str]) -> list[str]:
        """Return the ids of those heads whose attempt is still the one that is given.

        Raises:
            StoreUnavailable: as `Collection.get` does.
        """
        found: list[str] | None = None
        if self._is_shared():
            found = self._calls.submit(_Current(heads.name, heads.identity), dict(attempts))
        return _current(heads, [attempts])[0] if found is None else found

    def close(self) -> None:
        """Read for no other process any more."""
        self._calls.close()

    def _is_shared(self) -> bool:
        return self._under_way > 1 or time.monotonic() < self._shared_until

    def _read(self, kind: _Nearest | _Current, asked: list[Any]) -> list[Any]:
        """Read here; None where this process knows another collection of that name."""
        collection = self._connection.find(kind.collection)
        if collection is None or collection.identity != kind.identity:
            return [None for _ in asked]
        if isinstance(kind, _Nearest):
            return collection.query_many(
                np.stack(asked),
                limit=kind.limit,
                where=json.loads(kind.where),
                include=kind.include,
            )
        return [*_current(collection, asked)]


def _current(heads: Collection, asked: list[Mapping[str, str]]) -> list[list[str]]:
    pairs = {pair for attempts in asked for pair in attempts.items()}
    where = {"attempt": {"$in": [attempt for _, attempt in pairs]}}
    if len({one for one, _ in pairs}) == len(pairs):
        # Chroma tells so without reading a record.
        found = set(heads.get(where=where).ids)
        return [[one for one in attempts if one in found] for attempts in asked]
    # They differ in what they take for the attempt of a head.
    records = heads.get(where=where, include=("metadatas",))
    there = {
        (one, fields["attempt"]) for one, fields in zip(records.ids, records.metadatas, strict=True)
    }
    return [[pair[0] for pair in attempts.items() if pair in there] for attempts in asked]
