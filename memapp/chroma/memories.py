"""The memory store over Chroma; `ports.MemoryStore` says what it promises.

What Chroma gives and this store builds on: `add` ignores an id that exists, so the first of
several writers wins and can be told by reading back; `update` ignores an id that does not, so a
change never brings a deleted memory back; every acknowledged write is seen by every later read.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any

from memapp.chroma import memory_layout as layout
from memapp.chroma.cache_budget import Budget
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.crowding import Crowding
from memapp.chroma.faults import CollectionGone
from memapp.chroma.memory_claims import Claims
from memapp.chroma.memory_shard import Addition, MemoryShard, count_memories
from memapp.chroma.memory_shelves import MemoryShelves, shard_count
from memapp.chroma.memory_views import EmptyView, KeptView, StoredView
from memapp.chroma.recent_changes import Behind, Missed, RecentChange, RecentChanges
from memapp.chroma.roster import Roster
from memapp.chroma.shared_reads import SharedReads
from memapp.chroma.user_cache import ShardCache
from memapp.chroma.user_speakers import UserSpeakers
from memapp.chroma.write_marks import WriteMarks
from memapp.coalescing import Turnstile
from memapp.errands import Errands
from memapp.ports import Clock, MemoryView
from memapp.records import (
    Claim,
    EmbedderIdentity,
    ForgottenUser,
    Memory,
    MemoryDraft,
    MemoryScope,
    StoredMemory,
    Vector,
    Vectors,
)

MOST_SENT = 16
"""Additions that another process is asked to write; more are worth a write of their own."""

INQUIRY_PATIENCE = 0.5
"""Seconds that a search waits for whoever writes; reading from Chroma instead takes 5 to 20 ms."""


@dataclass(frozen=True, slots=True)
class _Writing:
    """Additions to one shard, on their way to whoever writes them."""

    tenant: str
    shard: int
    additions: list[Addition]


@dataclass(frozen=True, slots=True)
class _Inquiry:
    """A question for what was written last, on its way to whoever writes."""

    asked: Sequence[Behind | Missed]


_Errand = _Writing | _Inquiry


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
        cache: Budget,
        marks: WriteMarks | None = None,
        company: str = "",
        family: str | None = None,
        writes_in_turn: bool = True,
    ) -> None:
        """Keep memories through `connection`; nothing is opened yet.

        Args:
            connection: Where they are kept.
            identity: Of the embedder that makes the vectors.
            clock: Tells the time.
            shards: Into how many collections a new tenant's memories are partitioned, 1 to 1,024;
                a tenant that exists keeps its own number.
            claim_lifetime: For how long an idempotency key is remembered.
            cache: How much of users' memories this process may keep.
            marks: Counts writes, where all processes that write share it.
            company: Name of the processes of this host that write together; see `Errands`.
            family: Name of the processes that share `marks`, where others may write to the same
                Chroma; empty if there is none. None where nobody can have a lease; see `leases`.
            writes_in_turn: Chroma makes one write after the other anyway.
        """
        self._shelves = MemoryShelves(connection, identity, shards)
        self._dimensions = identity.dimensions
        self._clock = clock
        self._claim_lifetime = claim_lifetime
        self._cache = cache
        self._marks = marks
        self._family = family
        self._crowding = Crowding()
        self._speakers = UserSpeakers(marks)
        self._reads = SharedReads(connection, company and f"{company}.memories")
        self._lock = Lock()
        self._shards: dict[tuple[str, int], MemoryShard] = {}
        self._caches: dict[str, ShardCache] = {}
        self._recent = RecentChanges()
        self._errands: Errands[_Errand, Any] = Errands(company, self._do)
        self._turnstile = Turnstile() if writes_in_turn else None

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
            writing = _Writing(tenant, number, additions)
            is_small = len(additions) <= MOST_SENT
            stored = self._errands.run(writing) if is_small else self._write(writing)
            outcomes.update(zip(positions, stored, strict=True))
        return [outcomes[position] for position in range(len(drafts))]

    def get(self, tenant: str, memory_id: str) -> Memory | None:
        """Return the memory, or None if there is none or it has expired."""
        shard = self._find_shard_of_memory(tenant, memory_id)
        if shard is None:
            return None
        cache = self._caches.get(shard.collection.name)
        memory = None if cache is None else cache.memory(shard.collection, memory_id)
        if memory is None and (stored := shard.read([memory_id]).get(memory_id)) is not None:
            memory = stored.memory
            self._note_shown(shard.collection.name, memory.user_id)
        return None if memory is None or memory.is_expired(self._clock()) else memory

    def revise(self, tenant: str, current: Memory, revised: Memory, vector: Vector | None) -> bool:
        """Replace `current` by `revised` and keep `current` as an old version."""
        shard = self._find_shard_of_memory(tenant, current.id)
        return shard is not None and shard.revise(current, revised, vector)

    def versions(self, tenant: str, memory: Memory) -> list[Memory]:
        """Return the old versions of a memory, oldest first, without the current one."""
        shard = self._find_shard_of_memory(tenant, memory.id)
        return [] if shard is None else shard.versions(memory)

    def delete(self, tenant: str, memory_id: str) -> bool:
        """Remove a memory and its versions; return whether there was one."""
        shard = self._find_shard_of_memory(tenant, memory_id)
        stored = None if shard is None else shard.delete(memory_id)
        if stored is None:
            return False
        if "claim" in stored.fields:
            Claims(self._shelves.ledger(tenant)).spend(stored.fields["claim"])
        return not stored.memory.is_expired(self._clock())

    def view(self, tenant: str, scope: MemoryScope) -> MemoryView:
        """Return a way to read a scope; it holds all that was acknowledged before this call."""
        shard = self._shelves.find_shard_of_user(tenant, scope.user_id)
        if shard is None:
            return EmptyView()
        with self._lock:
            cache = self._caches.get(shard.name)
            if cache is None:
                cache = ShardCache(
                    self._cache,
                    self._marks,
                    self._inquire,
                    family=self._family or "",
                    take_lease=partial(self._take_lease, tenant),
                )
                self._caches[shard.name] = cache
        snapshot = cache.snapshot(shard, scope.user_id)
        if snapshot is None:
            note_shown = partial(self._note_shown, shard.name, scope.user_id)
            return StoredView(
                shard,
                scope,
                reads=self._reads,
                crowding=self._crowding,
                speakers=self._speakers,
                note_shown=note_shown,
            )
        return KeptView(snapshot, scope)

    def forget(self, tenant: str, user_id: str, *, dry_run: bool) -> ForgottenUser:
        """Remove everything kept for a user; with `dry_run` only count it."""
        ledger = self._shelves.find_ledger(tenant)
        if ledger is None:
            return ForgottenUser(0, 0)
        if not dry_run:
            Claims(ledger).forget(user_id)
        number = layout.shard_of_user(user_id, shard_count(ledger))
        if self._shelves.find_shard(tenant, number) is None:
            return ForgottenUser(0, 0)
        shard = self._shard(tenant, number)
        forgotten = shard.forget(user_id, dry_run=dry_run)
        self._note_shown(shard.collection.name, user_id)
        return forgotten

    def claim(self, tenant: str, key: str, fingerprint: str, user_id: str) -> Claim:
        """Bind an idempotency key to a request, first come first served."""
        now = self._clock()
        claims = Claims(self._shelves.ledger(tenant))
        return claims.claim(key, fingerprint, user_id, now, now + self._claim_lifetime)

    def count(self, tenant: str | None) -> int:
        """Count memories of one tenant, or of all; may include expired ones."""
        size = 0
        for name, collection in self._shelves.everywhere(tenant):
            with suppress(CollectionGone):
                size += 0 if name.shard is None else count_memories(collection)
        return size

    def sweep(self, now: datetime) -> int:
        """Remove expired memories and idempotency keys of all tenants; return how many records."""
        removed = 0
        for name, collection in self._shelves.everywhere():
            if name.shard is None:
                removed += Claims(collection).sweep(now)
            else:
                removed += self._shard(name.tenant, name.shard).sweep(now)
        return removed

    def _note_shown(self, shard: str, user_id: str) -> None:
        """Note that a user was read in Chroma, before that is shown."""
        if self._marks is not None:
            self._marks.note_shown((shard, user_id))

    def _do(self, errand: _Errand) -> list[StoredMemory] | list[Sequence[RecentChange] | None]:
        if isinstance(errand, _Inquiry):
            return self._answer(errand)
        return self._write(errand)

    def _write(self, writing: _Writing) -> list[StoredMemory]:
        return self._shard(writing.tenant, writing.shard).add(writing.additions)

    def _inquire(self, asked: Sequence[Behind | Missed]) -> list[Sequence[RecentChange] | None]:
        inquiry = _Inquiry(asked)
        own = self._answer(inquiry)
        if None not in own:
            return own
        others: list[Sequence[RecentChange] | None] = self._errands.run(inquiry, INQUIRY_PATIENCE)
        return [theirs if mine is None else mine for mine, theirs in zip(own, others, strict=True)]

    def _answer(self, inquiry: _Inquiry) -> list[Sequence[RecentChange] | None]:
        return [self._recent.tell(one) for one in inquiry.asked]

    def _take_lease(self, tenant: str, collection: Collection) -> Roster:
        name = layout.parse_name(collection.name)
        assert name is not None and name.shard is not None  # noqa: S101, PT018 - it is a shard
        return self._shard(tenant, name.shard).log.take_lease(collection)

    def _find_shard_of_memory(self, tenant: str, memory_id: str) -> MemoryShard | None:
        ledger = self._shelves.find_ledger(tenant)
        number = None if ledger is None else layout.shard_of_memory(memory_id, shard_count(ledger))
        if number is None or self._shelves.find_shard(tenant, number) is None:
            return None
        return self._shard(tenant, number)

    def _shard(self, tenant: str, number: int) -> MemoryShard:
        with self._lock:
            shard = self._shards.get((tenant, number))
            if shard is None:
                shard = MemoryShard(
                    partial(self._shelves.shard, tenant, number),
                    number,
                    self._clock,
                    self._dimensions,
                    marks=self._marks,
                    turnstile=self._turnstile,
                    recent=self._recent,
                    family=self._family,
                )
                self._shards[tenant, number] = shard
            return shard
