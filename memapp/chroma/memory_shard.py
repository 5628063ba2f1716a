"""One shard of a tenant's memories, as this process reads and writes it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from memapp.chroma import memory_layout as layout
from memapp.chroma.bundling import MOMENT
from memapp.chroma.change_log import GONE, Awaited, Change, ChangeLog, NewRecord, new_token
from memapp.chroma.collection import Collection
from memapp.chroma.faults import OutcomeUnknown
from memapp.chroma.memory_aliases import alias, hand_on
from memapp.chroma.memory_records import (
    Making,
    StoredMemoryRecord,
    decode,
    encode,
    memories_of,
)
from memapp.chroma.memory_revision import MICROSECOND, MemoryRevision
from memapp.chroma.memory_sweep import all_records_of, remove_leftovers
from memapp.chroma.recent_changes import RecentChanges
from memapp.chroma.where import stamp
from memapp.chroma.write_marks import WriteMarks
from memapp.coalescing import Coalescer, Turnstile
from memapp.ports import Clock
from memapp.records import ForgottenUser, Memory, MemoryDraft, StoredMemory, Vector

GROUP_SIZE = 200
"""Records written together: enough to share the fsyncs, few enough that the embedded client, which
holds the GIL while it writes, does not stall other requests."""

SETTLED = timedelta(minutes=15)
"""What is older is known to all: it is longer than `kept_user.MAX_AGE`."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A draft on its way into a shard.

    Attributes:
        draft: The draft.
        vector: Of its text, shape (dimensions,).
        digest: Of its text in its scope; see `memory_layout.text_digest`.
        token: Names the write, so that it is known again should it be made twice.
    """

    draft: MemoryDraft
    vector: Vector
    digest: str
    token: str = field(default_factory=new_token)

    @property
    def claim(self) -> str | None:
        """The ledger's id of the idempotency key, if there is one."""
        key = self.draft.idempotency_key
        return None if key is None else layout.claim_id(key)

    def has_made(self, record: StoredMemoryRecord) -> bool:
        """Tell whether a memory is the one of this text, or was it when its key made it."""
        if record.fields["digest"] == self.digest:
            return True
        return self.claim is not None and record.fields.get("claim") == self.claim


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a text belongs: its record's id, and what is there already."""

    id: str
    there: StoredMemoryRecord | None = None

    def holds(self, addition: Addition, now: datetime) -> bool:
        if self.there is None or self.there.memory.is_expired(now):
            return False
        return addition.has_made(self.there)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A memory that is not there yet, or only an expired one in its place."""

    place: _Place
    memory: Memory
    addition: Addition


class MemoryShard:
    """All that happens to the memories in one collection; safe for many threads."""

    def __init__(
        self,
        open_collection: Callable[[], Collection],
        number: int,
        clock: Clock,
        dimensions: int,
        *,
        marks: WriteMarks | None,
        turnstile: Turnstile | None,
        recent: RecentChanges,
        family: str | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            open_collection: Gives the collection, made if there is none.
            number: The shard's; part of its memories' ids.
            clock: Tells the time.
            dimensions: Length of a vector.
            marks: Where each write to a user's memories is counted, if anywhere.
            turnstile: Where additions to all shards take turns, if they do.
            recent: Where changes are noted as they are acknowledged.
            family: Of the processes that share `marks`, if they take leases (see `leases`); else
                empty. None where nobody can have a lease.
        """
        self._marks = marks
        self._open = open_collection
        self._number = number
        self._clock = clock
        self.log = ChangeLog(clock, dimensions, recent, family)
        self._lane = Coalescer(self._add_together, most=GROUP_SIZE, turnstile=turnstile)

    @property
    def collection(self) -> Collection:
        """The collection, made if there is none."""
        return self._open()

    def add(self, additions: Sequence[Addition]) -> list[StoredMemory]:
        """Store what is not there yet, together with what other threads add.

        Returns:
            One outcome per addition, in the same order.
        """
        return self._lane.submit(additions)

    def read(self, ids: Sequence[str]) -> dict[str, StoredMemoryRecord]:
        """Return the memories that exist, by id."""
        return memories_of(self._read(ids))

    def revise(self, current: Memory, revised: Memory, vector: Vector | None) -> bool:
        """Make a new version; False if `current` is not what is stored."""
        revision = MemoryRevision(self.collection, self.log, self._clock, current, revised)
        with self._changing([current.user_id]):
            return revision.make(vector)

    def versions(self, memory: Memory) -> list[Memory]:
        """Return the old versions of a memory, oldest first."""
        ids = [layout.version_id(memory.id, number) for number in range(1, memory.version)]
        found = self._read(ids)
        return [decode(memory.id, *found[one]) for one in ids if one in found]

    def delete(self, memory_id: str) -> StoredMemoryRecord | None:
        """Remove a memory and its versions; return what it was."""
        known = self.read([memory_id]).get(memory_id)
        while known is not None:
            user, created = known.memory.user_id, known.fields["created"]
            change = Change(user, (memory_id,), Awaited(GONE, created, version=0))
            with (
                self._changing([user], removes=True),
                self.log.announced(self.collection, change, read=[memory_id]) as found,
            ):
                known = memories_of(found).get(memory_id)
                if known is not None and known.fields["created"] == created:
                    self._remove(known)
                    return known
            # Another has been added in its place, whose deletion is to be announced for itself.
        return None

    def forget(self, user_id: str, *, dry_run: bool) -> ForgottenUser:
        """Remove everything kept for a user; with `dry_run` only count it."""
        memories: set[str] = set()
        versions: set[str] = set()
        while True:
            ids = all_records_of(self.collection, user_id)
            memories.update(one for one in ids if "." not in one)
            versions.update(one for one in ids if one.startswith("v."))
            if not dry_run and not ids:
                self.log.respect_leases(self.collection)
            if dry_run or not ids:
                return ForgottenUser(len(memories), len(versions))
            # Memories first: a change under way then finds them gone and clears its own trail.
            # Changes last: while they are there, no reader takes the user for a new one.
            ids.sort(key=lambda one: ("." in one, one.startswith(("c.", "u."))))
            with self._changing([user_id], removes=True):
                self.collection.delete(ids)

    def sweep(self, now: datetime) -> int:
        """Remove the memories that have expired; return how many."""
        # A version has the expiry that its memory had, which may have been put off since.
        expired = {"$and": [{"expires": {"$lte": stamp(now)}}, {"kind": {"$ne": "version"}}]}
        records = self.collection.get(where=expired, include=("metadatas", "documents"))
        found = zip(records.ids, records.metadatas, records.documents, strict=True)
        for one, fields, text in found:
            stored = StoredMemoryRecord(decode(one, fields, text), fields)
            self.collection.delete(self._trail(stored), where=_hangs_on(stored))
        self.collection.delete(records.ids, where=expired)
        settled = stamp(now - SETTLED)
        self.log.sweep(self.collection, settled)
        remove_leftovers(self.collection, settled)
        return len(records.ids)

    def _alias(self, digest: str, memory: Memory) -> NewRecord:
        made = alias(digest, memory, claimed_at=stamp(self._clock()))
        if self._read([made.id]):
            # Left by a memory that has gone on to another text: `add` would keep it.
            self.collection.delete([made.id])
        return made

    def _trail(self, stored: StoredMemoryRecord) -> list[str]:
        """Return the ids of a memory's versions, one just claimed included, and of its aliases.

        If others have its text, too, that leads to one of them by then.
        """
        memory, digest = stored.memory, stored.fields["digest"]
        ids = [layout.version_id(memory.id, number) for number in range(1, memory.version + 1)]
        if memory.version == 1 and memory.id == layout.memory_id(self._number, digest, 0):
            return ids
        own = layout.alias_id(digest)
        aliases = self.collection.get(where={"target": memory.id}).ids
        if own in aliases and hand_on(self.collection, self.log, stored, stamp(self._clock())):
            aliases.remove(own)
        return ids + aliases

    def _remove(self, stored: StoredMemoryRecord) -> None:
        one, created = stored.memory.id, stored.fields["created"]
        ids = [one, *self._trail(stored)]
        try:
            self.collection.delete(ids, where=_hangs_on(stored), may_repeat=False)
        except OutcomeUnknown:
            there = self.read([one]).get(one)
            if there is not None and there.fields["created"] == created:
                raise

    def _changing(
        self, users: Iterable[str], *, removes: bool = False
    ) -> AbstractContextManager[dict[str, int]]:
        if self._marks is None:
            return nullcontext({})
        return self._marks.changing(self.collection.name, set(users), removes=removes)

    def _add_together(self, additions: list[Addition]) -> list[StoredMemory]:
        firsts: dict[str, Addition] = {}
        for addition in additions:
            firsts.setdefault(addition.digest, addition)
        outcomes: dict[str, StoredMemory] = {}
        while left := {one: firsts[one] for one in firsts if one not in outcomes}:
            outcomes |= self._add_distinct(left)
        return [
            StoredMemory(
                outcomes[addition.digest].memory,
                is_new=outcomes[addition.digest].is_new and firsts[addition.digest] is addition,
            )
            for addition in additions
        ]

    def _add_distinct(self, additions: Mapping[str, Addition]) -> dict[str, StoredMemory]:
        """Store what is not there yet; leave out where others wrote another text meanwhile."""
        now = self._clock()
        places = self._find_places(additions, now)
        fresh = [
            _Fresh(
                places[digest],
                _memory(places[digest].id, addition.draft, now + number * MICROSECOND),
                addition,
            )
            for number, (digest, addition) in enumerate(additions.items())
            if not places[digest].holds(addition, now)
        ]
        held = {
            digest: place.there
            for digest, place in places.items()
            if place.there is not None and place.holds(additions[digest], now)
        }
        # Begun only now: whoever searches for a user who is being written to must ask Chroma.
        with self._changing(addition.draft.user_id for addition in additions.values()) as ends:
            self._clear([one for one in fresh if one.place.there is not None], now)
            outcomes = self._write_fresh(fresh)
            self._announce_again([record.memory for record in held.values()], now)
        self.log.note_ends(ends)
        return outcomes | {one: _outcome(held[one], additions[one]) for one in held}

    def _find_places(self, additions: Mapping[str, Addition], now: datetime) -> dict[str, _Place]:
        """Find for each text, by digest, the memory that has it, or the id that it will have."""
        places: dict[str, _Place] = {}
        aliases = {layout.alias_id(digest): digest for digest in additions}
        targets: dict[str, str] = {}
        looked_for = list(additions)
        attempt = 0
        while looked_for:
            ids = {one: layout.memory_id(self._number, one, attempt) for one in looked_for}
            found = self._read([*ids.values(), *(aliases if attempt == 0 else ())])
            targets |= {
                aliases[one]: str(found[one][0]["target"]) for one in aliases if one in found
            }
            there = memories_of(found)
            for digest, one in ids.items():
                record = there.get(one)
                if record is None or additions[digest].has_made(record):
                    places[digest] = _Place(one, record)
            # The id is taken by a memory whose text has changed since.
            looked_for = [digest for digest in looked_for if digest not in places]
            attempt += 1
        changed = self.read(list(targets.values()))
        for digest, target in targets.items():
            place = _Place(target, changed.get(target))
            addition = additions[digest]
            if not places[digest].holds(addition, now) and place.holds(addition, now):
                places[digest] = place
        return places

    def _write_fresh(self, fresh: Sequence[_Fresh]) -> dict[str, StoredMemory]:
        if not fresh:
            return {}
        records = [
            NewRecord(
                one.memory.id,
                encode(one.memory, _making(one.addition)),
                one.memory.text,
                one.addition.vector,
            )
            for one in fresh
        ]
        records += self._new_speakers([one.memory for one in fresh])
        # Found even when the memory in the first place is deleted.
        records += [
            self._alias(one.addition.digest, one.memory)
            for one in fresh
            if one.memory.id != layout.memory_id(self._number, one.addition.digest, 0)
        ]
        read = [one.memory.id for one in fresh]
        found = self.log.publish(self.collection, records, _changes(fresh), read=read)
        written = memories_of(found)
        outcomes: dict[str, StoredMemory] = {}
        for one in fresh:
            record = written.get(one.memory.id)
            if record is not None and record.fields["digest"] == one.addition.digest:
                outcomes[one.addition.digest] = _outcome(record, one.addition)
            elif record is None or record.memory.created_at == one.memory.created_at:
                # Deleted since, and this writer may well have been the first; or changed since.
                outcomes[one.addition.digest] = StoredMemory(one.memory, is_new=True)
        return outcomes

    def _announce_again(self, memories: Sequence[Memory], now: datetime) -> None:
        """Announce memories found here; whoever wrote them may have died before it did."""
        by_user: dict[str, list[str]] = {}
        for memory in memories:
            if now - memory.updated_at < SETTLED:
                by_user.setdefault(memory.user_id, []).append(memory.id)
        if by_user:
            changes = [Change(user, tuple(ids)) for user, ids in by_user.items()]
            self.log.publish(self.collection, [], changes)

    def _clear(self, expired: Sequence[_Fresh], now: datetime) -> None:
        """Make place where memories have expired, unless somebody has written there meanwhile."""
        if not expired:
            return
        for one in expired:
            if one.place.there is not None:
                there = one.place.there
                self.collection.delete(self._trail(there), where=_hangs_on(there))
        where = {"expires": {"$lte": stamp(now)}}
        self.collection.delete([one.memory.id for one in expired], where=where)

    def _new_speakers(self, memories: Iterable[Memory]) -> list[NewRecord]:
        """Return records of who speaks, so that a query's words can be told to be names.

        Each is written once; `add` ignores those that are there.
        """
        speakers = {
            layout.speaker_id(memory.user_id, memory.speaker.lower()): memory.user_id
            for memory in memories
            if memory.speaker
        }
        return [
            NewRecord(one, {"kind": "speaker", "owner": user}) for one, user in speakers.items()
        ]

    def _read(self, ids: Sequence[str]) -> "dict[str, tuple[Mapping[str, object], str]]":
        if not ids:
            return {}
        records = self.collection.get(ids=ids, include=("metadatas", "documents"))
        found = zip(records.metadatas, records.documents, strict=True)
        return dict(zip(records.ids, found, strict=True))


def count_memories(shard: Collection) -> int:
    """Count the memories of a shard, of any embedder; expired ones may be among them."""
    kinds = ["version", "alias", "speaker", "change", "user", "writer", "roster"]
    return shard.count() - len(shard.get(where={"kind": {"$in": kinds}}).ids)


def _hangs_on(stored: StoredMemoryRecord) -> dict[str, Any]:
    """Return what is true of a memory and its trail, and not of one added in its place since."""
    created = stored.fields["created"]
    return {"$or": [{"created": created}, {MOMENT: created}, {"kind": "alias"}]}


def _making(addition: Addition) -> Making:
    is_timed = addition.draft.occurred_at is not None
    return Making(addition.digest, addition.token, is_timed=is_timed, claim=addition.claim)


def _outcome(there: StoredMemoryRecord, addition: Addition) -> StoredMemory:
    return StoredMemory(there.memory, is_new=there.fields["token"] == addition.token)


def _changes(fresh: Iterable[_Fresh]) -> list[Change]:
    by_user: dict[str, list[str]] = {}
    for one in fresh:
        by_user.setdefault(one.memory.user_id, []).append(one.memory.id)
    return [Change(user, tuple(ids)) for user, ids in by_user.items()]


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
