"""A memory store in a dictionary, for tests of what stands on the port."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock

from memapp.chroma.memory_layout import text_digest
from memapp.filters import Filter
from memapp.ports import Clock
from memapp.records import (
    Claim,
    ForgottenUser,
    Memory,
    MemoryDraft,
    MemoryScope,
    NearMemory,
    StoredMemory,
    Vector,
    Vectors,
)


@dataclass
class _Entry:
    memory: Memory
    vector: Vector
    is_timed: bool
    claim: str | None
    old: list[Memory] = field(default_factory=list)


class FakeMemories:
    """Obeys `ports.MemoryStore` in one process."""

    def __init__(self, clock: Clock, *, claim_lifetime: timedelta) -> None:
        self._clock = clock
        self._claim_lifetime = claim_lifetime
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._claims: dict[tuple[str, str], tuple[Claim, str, datetime]] = {}
        self._speakers: set[tuple[str, str, str]] = set()
        self._made = 0
        self._lock = RLock()

    def add(
        self, tenant: str, drafts: Sequence[MemoryDraft], vectors: Vectors
    ) -> list[StoredMemory]:
        with self._lock:
            now = self._clock()
            return [
                self._add(tenant, draft, vector, now + number * timedelta(microseconds=1))
                for number, (draft, vector) in enumerate(zip(drafts, vectors, strict=True))
            ]

    def _add(self, tenant: str, draft: MemoryDraft, vector: Vector, now: datetime) -> StoredMemory:
        wanted = text_digest(draft)
        for (of, _), entry in self._entries.items():
            is_made = draft.idempotency_key is not None and entry.claim == draft.idempotency_key
            same = of == tenant and (is_made or _digest(entry) == wanted)
            if same and not entry.memory.is_expired(now):
                return StoredMemory(entry.memory, is_new=False)
        self._made += 1
        memory = Memory(
            id=f"{self._made:035x}",
            user_id=draft.user_id,
            text=draft.text,
            speaker=draft.speaker,
            occurred_at=draft.occurred_at or now,
            agent_id=draft.agent_id,
            session_id=draft.session_id,
            metadata=dict(draft.metadata),
            created_at=now,
            updated_at=now,
            expires_at=draft.expires_at,
            version=1,
        )
        timed = draft.occurred_at is not None
        self._entries[tenant, memory.id] = _Entry(memory, vector, timed, draft.idempotency_key)
        if draft.speaker:
            self._speakers.add((tenant, draft.user_id, draft.speaker.lower()))
        return StoredMemory(memory, is_new=True)

    def get(self, tenant: str, memory_id: str) -> Memory | None:
        entry = self._entries.get((tenant, memory_id))
        if entry is None or entry.memory.is_expired(self._clock()):
            return None
        return entry.memory

    def revise(self, tenant: str, current: Memory, revised: Memory, vector: Vector | None) -> bool:
        with self._lock:
            entry = self._entries.get((tenant, current.id))
            if entry is None or entry.memory.version != current.version:
                return False
            entry.old.append(entry.memory)
            entry.memory = revised
            entry.vector = entry.vector if vector is None else vector
            return True

    def versions(self, tenant: str, memory: Memory) -> list[Memory]:
        entry = self._entries.get((tenant, memory.id))
        return [] if entry is None else list(entry.old)

    def delete(self, tenant: str, memory_id: str) -> bool:
        with self._lock:
            entry = self._entries.pop((tenant, memory_id), None)
            if entry is None:
                return False
            if entry.claim is not None and (tenant, entry.claim) in self._claims:
                claim, user, until = self._claims[tenant, entry.claim]
                spent = Claim(claim.fingerprint, is_spent=True)
                self._claims[tenant, entry.claim] = (spent, user, until)
            return not entry.memory.is_expired(self._clock())

    def view(self, tenant: str, scope: MemoryScope) -> "FakeView":
        speakers = {
            name for of, user, name in self._speakers if (of, user) == (tenant, scope.user_id)
        }
        return FakeView(self._in_scope(tenant, scope), speakers)

    def forget(self, tenant: str, user_id: str, *, dry_run: bool) -> ForgottenUser:
        with self._lock:
            mine = {
                key: entry
                for key, entry in self._entries.items()
                if key[0] == tenant and entry.memory.user_id == user_id
            }
            if not dry_run:
                self._entries = {k: e for k, e in self._entries.items() if k not in mine}
                self._claims = {
                    k: c for k, c in self._claims.items() if (k[0], c[1]) != (tenant, user_id)
                }
                self._speakers = {s for s in self._speakers if s[:2] != (tenant, user_id)}
            return ForgottenUser(len(mine), sum(len(entry.old) for entry in mine.values()))

    def claim(self, tenant: str, key: str, fingerprint: str, user_id: str) -> Claim:
        with self._lock:
            now = self._clock()
            bound = self._claims.get((tenant, key))
            if bound is None or bound[2] <= now:
                bound = (Claim(fingerprint, is_spent=False), user_id, now + self._claim_lifetime)
                self._claims[tenant, key] = bound
            return bound[0]

    def count(self, tenant: str | None) -> int:
        return sum(tenant in {None, of} for of, _ in self._entries)

    def sweep(self, now: datetime) -> int:
        with self._lock:
            gone = [k for k, e in self._entries.items() if e.memory.is_expired(now)]
            spent = [k for k, c in self._claims.items() if c[2] <= now]
            for key in gone:
                del self._entries[key]
            for key in spent:
                del self._claims[key]
            return len(gone) + len(spent)

    def _in_scope(self, tenant: str, scope: MemoryScope) -> list[_Entry]:
        return [
            entry
            for (of, _), entry in self._entries.items()
            if of == tenant
            and entry.memory.user_id == scope.user_id
            and scope.agent_id in {None, entry.memory.agent_id}
            and scope.session_id in {None, entry.memory.session_id}
        ]


class FakeView:
    """Obeys `ports.MemoryView`."""

    def __init__(self, entries: list[_Entry], speakers: set[str]) -> None:
        self._entries = entries
        self._speakers = speakers

    def scan(self, condition: Filter | None) -> list[Memory]:
        return [entry.memory for entry in self._entries]

    def nearest(self, vector: Vector, limit: int, condition: Filter | None) -> list[NearMemory]:
        found = [NearMemory(entry.memory, float(entry.vector @ vector)) for entry in self._entries]
        return sorted(found, key=lambda near: -near.cosine)[:limit]

    def containing(
        self, phrases: Sequence[str], vector: Vector, limit: int, *, condition: Filter | None
    ) -> list[NearMemory]:
        wanted = [phrase.lower() for phrase in phrases]
        found = [
            NearMemory(entry.memory, float(entry.vector @ vector))
            for entry in self._entries
            if any(phrase in entry.memory.text.lower() for phrase in wanted)
        ]
        return found[:limit]

    def known_speakers(self, names: Iterable[str]) -> set[str]:
        return self._speakers & set(names)


def _digest(entry: _Entry) -> str:
    memory = entry.memory
    return text_digest(
        MemoryDraft(
            user_id=memory.user_id,
            text=memory.text,
            speaker=memory.speaker,
            occurred_at=memory.occurred_at if entry.is_timed else None,
            agent_id=memory.agent_id,
            session_id=memory.session_id,
        )
    )
