"""A user's memories at one moment, as a process keeps them: small, and quick to make anew.

A busy process keeps a hundred thousand memories, so every object of one counts: what many memories
of a user have in common is there once.
"""

import sys
from collections.abc import Collection as Members
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from memapp.chroma.collection import Records
from memapp.chroma.kept_vectors import KeptVectors
from memapp.chroma.memory_records import decode
from memapp.records import Memory, MetadataValue, Vectors

WHOLE = ("metadatas", "documents", "embeddings")
"""What a snapshot is made of."""

MEMORY_OVERHEAD = 360
"""Bytes that a memory takes beside its text, metadata and vector: a tenth more than `tracemalloc`
finds, for what lies between."""

_METADATA, _ENTRY = 120, 60
"""Bytes that metadata takes, and each key of it or element of a list, without what texts say."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A user's memories at one moment; never changed once made.

    Attributes:
        memories: All of them, expired ones included.
        vectors: Theirs, in the same order.
        tokens: Of each memory's latest write, by id, in the same order.
        speakers: Who speaks in them, in lower case.
        weight: Bytes that it takes without the vectors, roughly.
        former_speakers: Ids (see `memory_layout`) of those whose memories were gone when the user
            was read. Who comes and goes between two looks is missing until it is read anew.
    """

    memories: list[Memory]
    vectors: KeptVectors
    tokens: dict[str, str]
    speakers: frozenset[str]
    weight: int
    former_speakers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, records: Records, chosen: Members[str] | None = None) -> "Snapshot":
        """Make a snapshot of the memories among records, or of the `chosen` ones.

        Args:
            records: As Chroma gave them, with metadata, documents and vectors.
            chosen: Ids.
        """
        rows = [
            row
            for row, (one, fields) in enumerate(zip(records.ids, records.metadatas, strict=True))
            if "scope" in fields and (chosen is None or one in chosen)
        ]
        memories = [
            _lean(decode(records.ids[row], records.metadatas[row], records.documents[row]))
            for row in rows
        ]
        return cls(
            memories=memories,
            vectors=KeptVectors.of(_rows(records.vectors, rows)),
            tokens={records.ids[row]: str(records.metadatas[row]["token"]) for row in rows},
            speakers=frozenset(m.speaker.lower() for m in memories if m.speaker),
            weight=sum(map(_weight, memories)),
        )

    @classmethod
    def joined(cls, parts: Sequence["Snapshot"]) -> "Snapshot":
        """Make one of several that have no memory in common."""
        tokens: dict[str, str] = {}
        for part in parts:
            tokens |= part.tokens
        return cls(
            memories=[memory for part in parts for memory in part.memories],
            vectors=KeptVectors.joined([part.vectors for part in parts]),
            tokens=tokens,
            speakers=frozenset().union(*(part.speakers for part in parts)),
            weight=sum(part.weight for part in parts),
            former_speakers=frozenset().union(*(part.former_speakers for part in parts)),
        )

    def only(self, tokens: Mapping[str, str | None]) -> "Snapshot":
        """Return a snapshot of those memories that have the tokens given by their ids."""
        return self._at(
            [
                row
                for row, (one, token) in enumerate(self.tokens.items())
                if tokens.get(one) == token
            ]
        )

    def without(self, ids: Members[str]) -> "Snapshot":
        """Return a snapshot without some memories; ids that are not there do not matter."""
        if all(one not in self.tokens for one in ids):
            return self
        return self._at([row for row, one in enumerate(self.tokens) if one not in ids])

    def memory(self, memory_id: str) -> Memory | None:
        """Return one memory; None if it is not there."""
        if memory_id not in self.tokens:
            return None
        return self.memories[list(self.tokens).index(memory_id)]

    @property
    def size(self) -> int:
        """Bytes it takes, roughly."""
        return self.weight + self.vectors.nbytes

    def _at(self, rows: Sequence[int]) -> "Snapshot":
        memories = [self.memories[row] for row in rows]
        return Snapshot(
            memories=memories,
            vectors=self.vectors.at(rows),
            tokens={memory.id: self.tokens[memory.id] for memory in memories},
            speakers=self.speakers,
            weight=sum(map(_weight, memories)),
            former_speakers=self.former_speakers,
        )


def _weight(memory: Memory) -> int:
    """Return the bytes that a memory takes without its vector, roughly."""
    weight = MEMORY_OVERHEAD + len(memory.text)
    if memory.metadata:
        weight += _METADATA + _ENTRY * len(memory.metadata)
        weight += sum(map(_value_weight, memory.metadata.values()))
    return weight


def _value_weight(value: MetadataValue) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(_ENTRY + len(str(one)) for one in value) if isinstance(value, Sequence) else 0


def _rows(vectors: Vectors | None, rows: Sequence[int]) -> Vectors:
    return np.empty((0, 0), dtype=np.float32) if vectors is None else vectors[list(rows)]


def _lean(memory: Memory) -> Memory:
    """Return a memory that shares with others what is often the same."""
    created = memory.created_at
    return replace(
        memory,
        user_id=sys.intern(memory.user_id),
        metadata={sys.intern(key): value for key, value in memory.metadata.items()},
        speaker=_shared(memory.speaker),
        agent_id=_shared(memory.agent_id),
        session_id=_shared(memory.session_id),
        occurred_at=created if memory.occurred_at == created else memory.occurred_at,
        updated_at=created if memory.updated_at == created else memory.updated_at,
    )


def _shared(name: str | None) -> str | None:
    return None if name is None else sys.intern(name)
