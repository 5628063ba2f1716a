"""Add memories to one shard: each text once, whoever else adds it at the same time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.memory_ledger import Ledger, new_token
from memapp.chroma.memory_records import Making, decode, encode, replacing
from memapp.records import Memory, MemoryDraft, StoredMemory, Vector


@dataclass(frozen=True, slots=True)
class Addition:
    """A draft on its way into a shard.

    Attributes:
        draft: The draft.
        vector: Of its text, shape (dimensions,).
        digest: Of its text in its scope; see `memory_layout.text_digest`.
    """

    draft: MemoryDraft
    vector: Vector
    digest: str


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A memory as it lies in its shard, with all fields Chroma keeps of it."""

    memory: Memory
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a text belongs: its record's id, and what is there already."""

    id: str
    there: StoredRecord | None = None

    def holds(self, digest: str, now: datetime) -> bool:
        return (
            self.there is not None
            and self.there.fields["digest"] == digest
            and not self.there.memory.is_expired(now)
        )


def read_records(shard: Collection, ids: Sequence[str]) -> dict[str, StoredRecord]:
    """Return the memories that exist, by id."""
    if not ids:
        return {}
    records = shard.get(ids=ids, include=("metadatas", "documents"))
    return {
        one: StoredRecord(decode(one, fields, text), fields)
        for one, fields, text in zip(records.ids, records.metadatas, records.documents, strict=True)
    }


def add_together(
    shard: Collection, number: int, ledger: Ledger, additions: Sequence[Addition], now: datetime
) -> list[StoredMemory]:
    """Store what is not there yet, in as few calls as can be.

    Args:
        shard: Where all of it belongs.
        number: The shard's.
        ledger: The tenant's.
        additions: At least one; the same text may come twice.
        now: Becomes `created_at`.

    Returns:
        One outcome per addition, in the same order.
    """
    firsts: dict[str, Addition] = {}
    for addition in additions:
        firsts.setdefault(addition.digest, addition)
    places = _find_places(shard, number, ledger, list(firsts), now)
    token = new_token()
    fresh = [
        (places[digest], _memory(places[digest].id, addition.draft, now), addition)
        for digest, addition in firsts.items()
        if not places[digest].holds(digest, now)
    ]
    ledger.register_speakers(memory for _, memory, _ in fresh)
    _write_fresh(shard, ledger, fresh, token)
    written = read_records(shard, [memory.id for _, memory, _ in fresh])
    outcomes = {
        digest: StoredMemory(place.there.memory, is_new=False)
        for digest, place in places.items()
        if place.there is not None
    }
    for _, memory, addition in fresh:
        # Not there any more: deleted since, so it was stored and this writer may have been first.
        record = written.get(memory.id)
        is_new = record is None or record.fields["token"] == token
        outcomes[addition.digest] = StoredMemory(record.memory if record else memory, is_new)
    return [
        StoredMemory(outcomes[a.digest].memory, outcomes[a.digest].is_new and firsts[a.digest] is a)
        for a in additions
    ]


def _find_places(
    shard: Collection, number: int, ledger: Ledger, digests: Sequence[str], now: datetime
) -> dict[str, _Place]:
    """Find for each text the memory that has it, or the id that it will have."""
    places: dict[str, _Place] = {}
    looked_for = list(digests)
    attempt = 0
    while looked_for:
        ids = {digest: layout.memory_id(number, digest, attempt) for digest in looked_for}
        there = read_records(shard, list(ids.values()))
        for digest, one in ids.items():
            record = there.get(one)
            if record is None or record.fields["digest"] == digest:
                places[digest] = _Place(one, record)
        # The id is taken by a memory whose text has changed since.
        looked_for = [digest for digest in looked_for if digest not in places]
        attempt += 1
    absent = [digest for digest, place in places.items() if place.there is None]
    targets = ledger.targets(absent) if absent else {}
    changed = read_records(shard, list(targets.values()))
    for digest, target in targets.items():
        place = _Place(target, changed.get(target))
        if place.holds(digest, now):
            places[digest] = place
    return places


def _write_fresh(
    shard: Collection,
    ledger: Ledger,
    fresh: Sequence[tuple[_Place, Memory, Addition]],
    token: str,
) -> None:
    new, renewed = [], []
    for place, memory, addition in fresh:
        draft = addition.draft
        claim = None if draft.idempotency_key is None else layout.claim_id(draft.idempotency_key)
        making = Making(addition.digest, token, draft.occurred_at is not None, claim)
        fields = encode(memory, making)
        if place.there is None:
            new.append((memory, fields, addition.vector))
        else:
            ledger.delete_trail(place.there.memory)
            renewed.append((memory, replacing(fields, place.there.fields), addition.vector))
    for write, records in ((shard.add, new), (shard.upsert, renewed)):
        if records:
            memories, fields_of, vectors = zip(*records, strict=True)
            texts = [memory.text for memory in memories]
            write([m.id for m in memories], np.stack(vectors), list(fields_of), texts)


def _memory(memory_id: str, draft: MemoryDraft, now: datetime) -> Memory:
    return Memory(
        id=memory_id,
        user_id=draft.user_id,
        text=draft.text,
        speaker=draft.speaker,
        occurred_at=draft.occurred_at or now,
        agent_id=draft.agent_id,
        session_id=draft.session_id,
        metadata=draft.metadata,
        created_at=now,
        updated_at=now,
        expires_at=draft.expires_at,
        version=1,
    )
