"""The memory store over Chroma; `ports.MemoryStore` says what it promises.

What Chroma gives and this room builds on: `add` ignores an id that exists, so the first of several
writers wins and can be told by reading back; `update` ignores an id that does not, so a change
never brings a deleted memory back; every acknowledged write is seen by every later read.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection, Records
from memapp.chroma.connection import Connection
from memapp.chroma.group_commit import GroupCommit
from memapp.chroma.memory_adding import Addition, StoredRecord, add_together, read_records
from memapp.chroma.memory_ledger import Ledger, new_token
from memapp.chroma.memory_records import column_of, decode, encode, making_of, replacing
from memapp.chroma.memory_shelves import MemoryShelves, shard_count
from memapp.chroma.where import narrow, stamp
from memapp.filters import Filter
from memapp.ports import Clock
from memapp.records import (
    Claim,
    EmbedderIdentity,
    ForgottenUser,
    Memory,
    MemoryDraft,
    MemoryScope,
    NearMemory,
    StoredMemory,
    Vector,
    Vectors,
)

GROUP_SIZE = 200
"""Records written together: enough to share the fsyncs, few enough that the embedded client, which
holds the GIL while it writes, does not stall other requests."""


class ChromaMemories:
    """Memories of all tenants in one Chroma; safe for many threads and processes."""

    def __init__(
        self,
        connection: Connection,
        identity: EmbedderIdentity,
        clock: Clock,
        *,
        shards: int,
        claim_lifetime: timedelta,
    ) -> None:
        """Keep memories through `connection`; nothing is opened yet.

        Args:
            connection: Where they are kept.
            identity: Of the embedder that makes the vectors.
            clock: Tells the time.
            shards: Into how many collections a new tenant's memories are partitioned, 1 to 1,024;
                a tenant that exists keeps its own number.
            claim_lifetime: For how long an idempotency key is remembered.
        """
        self._shelves = MemoryShelves(connection, identity, shards)
        self._clock = clock
        self._claim_lifetime = claim_lifetime
        self._lock = Lock()
        self._lanes: dict[tuple[str, int], GroupCommit[Addition, StoredMemory]] = {}

    def add(
        self, tenant: str, drafts: Sequence[MemoryDraft], vectors: Vectors
    ) -> list[StoredMemory]:
        """Store drafts that are not there yet."""
        shards = shard_count(self._shelves.ledger(tenant))
        positions_of: dict[int, list[int]] = {}
        for position, draft in enumerate(drafts):
            number = layout.shard_of_user(draft.user_id, shards)
            positions_of.setdefault(number, []).append(position)
        outcomes: dict[int, StoredMemory] = {}
        for number, positions in positions_of.items():
            additions = [
                Addition(drafts[p], vectors[p], layout.text_digest(drafts[p])) for p in positions
            ]
            stored = self._lane(tenant, number).submit(additions)
            outcomes.update(zip(positions, stored, strict=True))
        return [outcomes[position] for position in range(len(drafts))]

    def get(self, tenant: str, memory_id: str) -> Memory | None:
        """Return the memory, or None if there is none or it has expired."""
        _, stored = self._stored(tenant, memory_id)
        if stored is None or stored.memory.is_expired(self._clock()):
            return None
        return stored.memory

    def revise(self, tenant: str, current: Memory, revised: Memory, vector: Vector | None) -> bool:
        """Replace `current` by `revised` and keep `current` as an old version."""
        shard, stored = self._stored(tenant, current.id)
        if shard is None or stored is None or stored.memory.version != current.version:
            return False
        ledger = Ledger(self._shelves.ledger(tenant))
        if not ledger.claim_version(stored.memory, self._clock()):
            return False
        digest = layout.text_digest(_draft(revised, is_timed=stored.fields["timed"]))
        if digest != stored.fields["digest"]:
            ledger.alias(digest, revised)
        ledger.register_speakers([revised])
        fields = encode(revised, making_of(stored.fields, digest=digest, token=new_token()))
        shard.update(
            [revised.id],
            vectors=None if vector is None else vector[np.newaxis, :],
            metadatas=[replacing(fields, stored.fields)],
            # Given a text without a vector, Chroma would embed it itself.
            documents=None if vector is None else [revised.text],
        )
        if revised.id in read_records(shard, [revised.id]):
            return True
        # Deleted meanwhile: what this change left in the ledger must not outlive the memory.
        ledger.delete_trail(revised)
        return False

    def versions(self, tenant: str, memory: Memory) -> list[Memory]:
        """Return the old versions of a memory, oldest first, without the current one."""
        if memory.version == 1:
            return []
        return Ledger(self._shelves.ledger(tenant)).versions(memory)

    def delete(self, tenant: str, memory_id: str) -> bool:
        """Remove a memory and its versions; return whether there was one."""
        shard, stored = self._stored(tenant, memory_id)
        if shard is None or stored is None:
            return False
        shard.delete([memory_id])
        ledger = Ledger(self._shelves.ledger(tenant))
        ledger.delete_trail(stored.memory)
        if "claim" in stored.fields:
            ledger.spend(stored.fields["claim"])
        return not stored.memory.is_expired(self._clock())

    def scan(self, tenant: str, scope: MemoryScope, condition: Filter | None) -> list[Memory]:
        """Return all memories of a scope, unordered, expired ones included."""
        shard = self._shelves.find_shard_of_user(tenant, scope.user_id)
        if shard is None:
            return []
        return _memories(shard.get(where=_where(scope, condition), include=_MEMORY))

    def nearest(
        self, tenant: str, scope: MemoryScope, vector: Vector, limit: int, condition: Filter | None
    ) -> list[NearMemory]:
        """Return the `limit` nearest memories of a scope, nearest first."""
        shard = self._shelves.find_shard_of_user(tenant, scope.user_id)
        if shard is None:
            return []
        records = shard.query(
            vector, limit=limit, where=_where(scope, condition), include=(*_MEMORY, "distances")
        )
        found = zip(_memories(records), records.distances, strict=True)
        return [NearMemory(memory, 1.0 - distance) for memory, distance in found]

    def containing(
        self,
        tenant: str,
        scope: MemoryScope,
        phrases: Sequence[str],
        vector: Vector,
        limit: int,
    ) -> list[NearMemory]:
        """Return up to `limit` memories whose text contains one of `phrases`, ignoring case."""
        shard = self._shelves.find_shard_of_user(tenant, scope.user_id)
        if shard is None or not phrases:
            return []
        records = shard.get(
            where=_where(scope, None),
            where_document={"$regex": one_of(phrases)},
            limit=limit,
            include=(*_MEMORY, "embeddings"),
        )
        if records.vectors is None or not records.ids:
            return []
        found = zip(_memories(records), records.vectors @ vector, strict=True)
        return [NearMemory(memory, float(cosine)) for memory, cosine in found]

    def known_speakers(self, tenant: str, user_id: str, names: Sequence[str]) -> set[str]:
        """Return those of `names` (lower case) that are speakers of this user's memories."""
        ledger = self._shelves.find_ledger(tenant)
        return set() if ledger is None else Ledger(ledger).known_speakers(user_id, names)

    def forget(self, tenant: str, user_id: str, *, dry_run: bool) -> ForgottenUser:
        """Remove everything kept for a user; with `dry_run` only count it."""
        if self._shelves.find_ledger(tenant) is None:
            return ForgottenUser(0, 0)
        ledger = Ledger(self._shelves.ledger(tenant))
        shard = self._shelves.find_shard_of_user(tenant, user_id)
        memories: set[str] = set()
        versions: set[str] = set()
        while True:
            found = [] if shard is None else shard.get(where={"scope": user_id}).ids
            owned = ledger.owned(user_id)
            memories.update(found)
            versions.update(one for one, kind in owned.items() if kind == "version")
            if dry_run or not (found or owned):
                return ForgottenUser(len(memories), len(versions))
            # Memories first: a change under way then finds them gone and clears its own trail.
            if shard is not None:
                shard.delete(found)
            ledger.delete(list(owned))

    def claim(self, tenant: str, key: str, fingerprint: str, user_id: str) -> Claim:
        """Bind an idempotency key to a request, first come first served."""
        now = self._clock()
        ledger = Ledger(self._shelves.ledger(tenant))
        return ledger.claim(key, fingerprint, user_id, now, now + self._claim_lifetime)

    def count(self, tenant: str | None) -> int:
        """Count memories of one tenant, or of all; may include expired ones."""
        return sum(
            collection.count()
            for name, collection in self._shelves.everywhere()
            if name.shard is not None and tenant in {None, name.tenant}
        )

    def sweep(self, now: datetime) -> int:
        """Remove expired memories and idempotency keys of all tenants; return how many records."""
        removed = 0
        for name, collection in self._shelves.everywhere():
            column = "until" if name.shard is None else "expires"
            expired = {column: {"$lte": stamp(now)}}
            if name.shard is None:
                ids = collection.get(where=expired).ids
            else:
                memories = _memories(collection.get(where=expired, include=_MEMORY))
                ids = [memory.id for memory in memories]
                ledger = Ledger(self._shelves.ledger(name.tenant))
                for memory in memories:
                    ledger.delete_trail(memory)
            collection.delete(ids)
            removed += len(ids)
        return removed

    def _stored(self, tenant: str, memory_id: str) -> tuple[Collection | None, StoredRecord | None]:
        shard = self._shelves.find_shard_of_memory(tenant, memory_id)
        if shard is None:
            return None, None
        return shard, read_records(shard, [memory_id]).get(memory_id)

    def _lane(self, tenant: str, number: int) -> GroupCommit[Addition, StoredMemory]:
        with self._lock:
            lane = self._lanes.get((tenant, number))
            if lane is None:
                lane = GroupCommit(partial(self._add_together, tenant, number), most=GROUP_SIZE)
                self._lanes[tenant, number] = lane
            return lane

    def _add_together(
        self, tenant: str, number: int, additions: list[Addition]
    ) -> list[StoredMemory]:
        shard = self._shelves.shard(tenant, number)
        ledger = Ledger(self._shelves.ledger(tenant))
        return add_together(shard, number, ledger, additions, self._clock())


_MEMORY = ("metadatas", "documents")


def one_of(phrases: Sequence[str]) -> str:
    """Return a regular expression that finds any of `phrases`, ignoring case."""
    return "(?i)" + "|".join(re.escape(phrase) for phrase in phrases)


def _where(scope: MemoryScope, condition: Filter | None) -> dict[str, Any]:
    parts: list[Any] = [{"scope": scope.user_id}]
    if scope.agent_id is not None:
        parts.append({"agent": scope.agent_id})
    if scope.session_id is not None:
        parts.append({"session": scope.session_id})
    narrowed = None if condition is None else narrow(condition, column_of)
    if narrowed is not None:
        parts.append(narrowed)
    return parts[0] if len(parts) == 1 else {"$and": parts}


def _memories(records: Records) -> list[Memory]:
    found = zip(records.ids, records.metadatas, records.documents, strict=True)
    return [decode(one, fields, text) for one, fields, text in found]


def _draft(memory: Memory, *, is_timed: bool) -> MemoryDraft:
    return MemoryDraft(
        user_id=memory.user_id,
        text=memory.text,
        speaker=memory.speaker,
        occurred_at=memory.occurred_at if is_timed else None,
        agent_id=memory.agent_id,
        session_id=memory.session_id,
    )
