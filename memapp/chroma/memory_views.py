"""Read the memories of one scope: straight from Chroma, or from what this process keeps of it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection, Records
from memapp.chroma.crowding import Crowding
from memapp.chroma.memory_records import columns_of, decode
from memapp.chroma.shared_reads import SharedReads
from memapp.chroma.user_snapshot import Snapshot
from memapp.chroma.user_speakers import UserSpeakers
from memapp.chroma.where import narrow
from memapp.filters import Filter
from memapp.records import Memory, MemoryScope, NearMemory, Vector

_MEMORY = ("metadatas", "documents")
_NEAR = (*_MEMORY, "distances")


class EmptyView:
    """A scope in which nothing was ever stored; see `ports.MemoryView`."""

    def scan(self, condition: Filter | None) -> list[Memory]:
        """Return nothing."""
        return []

    def nearest(self, vector: Vector, limit: int, condition: Filter | None) -> list[NearMemory]:
        """Return nothing."""
        return []

    def containing(
        self, phrases: Sequence[str], vector: Vector, limit: int, *, condition: Filter | None
    ) -> list[NearMemory]:
        """Return nothing."""
        return []

    def known_speakers(self, names: Iterable[str]) -> set[str]:
        """Return nobody."""
        return set()


class StoredView:
    """One scope, read from its shard by Chroma's own filters; see `ports.MemoryView`."""

    def __init__(
        self,
        shard: Collection,
        scope: MemoryScope,
        *,
        reads: SharedReads,
        crowding: Crowding,
        speakers: UserSpeakers,
        note_shown: Callable[[], None],
    ) -> None:
        """Read `scope` in the shard that holds its user.

        Args:
            shard: The shard.
            scope: What to read.
            reads: Makes queries of all processes together.
            crowding: Remembers in which scopes strangers are near.
            speakers: Remembers who speaks in users' memories.
            note_shown: Called whenever memories were read, before they are returned.
        """
        self._shard = shard
        self._scope = scope
        self._reads = reads
        self._crowding = crowding
        self._speakers = speakers
        self._note_shown = note_shown

    def scan(self, condition: Filter | None) -> list[Memory]:
        """Return all memories of the scope, unordered, expired ones included."""
        records = self._shard.get(where=self._where(condition), include=_MEMORY)
        self._note_shown()
        return _memories(records)

    def nearest(self, vector: Vector, limit: int, condition: Filter | None) -> list[NearMemory]:
        """Return the `limit` nearest memories of the scope, nearest first."""
        if condition is None:
            found = self._nearest_of_all(vector, limit)
            if found is not None:
                return found
        records = self._query(vector, limit, self._where(condition))
        self._note_shown()
        return _near(records, range(len(records.ids)))

    def containing(
        self, phrases: Sequence[str], vector: Vector, limit: int, *, condition: Filter | None
    ) -> list[NearMemory]:
        """Return up to `limit` memories whose text contains one of `phrases`, ignoring case."""
        if not phrases:
            return []
        records = self._shard.get(
            where=self._where(condition),
            where_document={"$regex": one_of(phrases)},
            limit=limit,
            include=(*_MEMORY, "embeddings"),
        )
        self._note_shown()
        if records.vectors is None or not records.ids:
            return []
        found = zip(_memories(records), records.vectors @ vector, strict=True)
        return [NearMemory(memory, float(cosine)) for memory, cosine in found]

    def known_speakers(self, names: Iterable[str]) -> set[str]:
        """Return those of `names` (lower case) that are or were speakers of the user's memories."""
        return self._speakers.among(names, self._shard, self._scope.user_id)

    def _nearest_of_all(self, vector: Vector, limit: int) -> list[NearMemory] | None:
        """Return the scope's nearest if they are the nearest of the shard; None if they are not."""
        scope = self._scope
        key = (self._shard.name, scope.user_id, scope.agent_id or "", scope.session_id or "")
        room = self._crowding.strangers(key)
        if room is None:
            return None
        records = self._query(vector, limit + room, None)
        rows = [row for row, fields in enumerate(records.metadatas) if self._has(fields)]
        if len(rows) < limit:
            self._crowding.note_too_many(key, room)
            return None
        self._crowding.note(key, rows[limit - 1] + 1 - limit)
        self._note_shown()
        return _near(records, rows[:limit])

    def _query(self, vector: Vector, limit: int, where: Mapping[str, Any] | None) -> Records:
        with self._reads.taking_part():
            return self._reads.nearest(self._shard, vector, limit=limit, where=where, include=_NEAR)

    def _has(self, fields: Mapping[str, Any]) -> bool:
        scope = self._scope
        return (
            fields.get("scope") == scope.user_id
            and scope.agent_id in {None, fields.get("agent")}
            and scope.session_id in {None, fields.get("session")}
        )

    def _where(self, condition: Filter | None) -> dict[str, Any]:
        parts: list[Any] = [{"scope": self._scope.user_id}]
        if self._scope.agent_id is not None:
            parts.append({"agent": self._scope.agent_id})
        if self._scope.session_id is not None:
            parts.append({"session": self._scope.session_id})
        narrowed = None if condition is None else narrow(condition, columns_of)
        if narrowed is not None:
            parts.append(narrowed)
        return parts[0] if len(parts) == 1 else {"$and": parts}


class KeptView:
    """One scope, read from a snapshot of its user; see `ports.MemoryView`."""

    def __init__(self, snapshot: Snapshot, scope: MemoryScope) -> None:
        """Read `scope` in a snapshot of its user's memories."""
        self._scope = scope
        self._snapshot = snapshot
        self._vectors = snapshot.vectors
        self._memories = snapshot.memories
        if scope.agent_id is not None or scope.session_id is not None:
            rows = [
                row
                for row, memory in enumerate(snapshot.memories)
                if scope.agent_id in {None, memory.agent_id}
                and scope.session_id in {None, memory.session_id}
            ]
            self._vectors = snapshot.vectors.at(rows)
            self._memories = [snapshot.memories[row] for row in rows]

    def scan(self, condition: Filter | None) -> list[Memory]:
        """Return all memories of the scope, unordered, expired ones included."""
        return self._memories

    def nearest(self, vector: Vector, limit: int, condition: Filter | None) -> list[NearMemory]:
        """Return the `limit` nearest memories of the scope, nearest first."""
        if not self._memories:
            return []
        cosines = self._vectors.cosines(vector)
        if limit < len(cosines):
            chosen = np.argpartition(-cosines, limit)[:limit]
            chosen = chosen[np.argsort(-cosines[chosen], kind="stable")]
        else:
            chosen = np.argsort(-cosines, kind="stable")
        return [NearMemory(self._memories[row], float(cosines[row])) for row in chosen]

    def containing(
        self, phrases: Sequence[str], vector: Vector, limit: int, *, condition: Filter | None
    ) -> list[NearMemory]:
        """Return up to `limit` memories whose text contains one of `phrases`, ignoring case."""
        wanted = [phrase.lower() for phrase in phrases]
        rows = []
        for row, memory in enumerate(self._memories if wanted else ()):
            text = memory.text.lower()
            if any(phrase in text for phrase in wanted):
                rows.append(row)
                if len(rows) == limit:
                    break
        cosines = self._vectors.at(rows).cosines(vector)
        return [
            NearMemory(self._memories[row], float(cosine))
            for row, cosine in zip(rows, cosines, strict=True)
        ]

    def known_speakers(self, names: Iterable[str]) -> set[str]:
        """Return those of `names` (lower case) that are or were speakers of the user's memories."""
        speakers, former = self._snapshot.speakers, self._snapshot.former_speakers
        if not (speakers or former):
            return set()
        return {
            name
            for name in names
            if name in speakers
            or (former and layout.speaker_id(self._scope.user_id, name) in former)
        }


def one_of(phrases: Sequence[str]) -> str:
    """Return a regular expression that finds any of `phrases`, ignoring case."""
    return "(?i)" + "|".join(re.escape(phrase) for phrase in phrases)


def _near(records: Records, rows: Iterable[int]) -> list[NearMemory]:
    return [
        NearMemory(
            decode(records.ids[row], records.metadatas[row], records.documents[row]),
            1.0 - records.distances[row],
        )
        for row in rows
    ]


def _memories(records: Records) -> list[Memory]:
    found = zip(records.ids, records.metadatas, records.documents, strict=True)
    return [decode(one, fields, text) for one, fields, text in found]
