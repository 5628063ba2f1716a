"""Tell other processes what changed in a shard, in the very write that changes it.

Whoever keeps a user's memories in its own process must learn of every change before it answers
the next search, at the price of one read by id. So each process that writes to a shard takes one
of its slots, `w.<slot>`, under a name of its own, and numbers its changes of each user without
gaps: `c.<user>.<writer>.<n>`. A record `u.<user>` is there while anything is kept for a user. A
reader knows all slots, and for each writer the last change it has seen; it asks by id for the
slots, for `u.<user>`, for those last changes and for the ones that would follow:

- a change that follows is there: it names the memories to read again;
- the user's record or the last change seen is gone, or is another (the user was forgotten, the
  log was trimmed): the reader knows nothing any more and reads the user anew;
- a writer it does not know holds a slot: it looks for that writer's first change;
- a slot has changed hands: it reads the user anew, for the former holder's last changes may be
  lost to it.

Mostly nothing has changed, and the ids that exist say so: those of the user and of the last changes
seen do, those that would follow do not, and the roster has no further entry (see `roster`). Only if
they say anything else are the slots and the changes read.

What has changed need not be read if the writer is at hand (see `recent_changes`).

A change is acknowledged only after it was seen that the slot was still held and the writer's former
change still there; else it is written again under a new name. New memories lie in the same request
as their change, so neither exists without the other; only of a batch that one request does not take
(`CHROMA_BATCH_SIZE`), and that was cut off, some may be there for whoever asks Chroma and not for
who keeps their user, until that one is read anew or the batch is sent again. Changing and deleting
are requests of their own, so the change is written before, and names the token by which a reader
can tell that it has happened: until then, or until it finds the memory in a later version, the
reader looks at that memory each time.

A write whose answer is lost is never made again as it was: what it added may have been deleted
since. If its changes are found, all of it has arrived; else it is made anew under a new name.
"""

import os
import random
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection, Records
from memapp.chroma.directions import direction
from memapp.chroma.faults import OutcomeUnknown
from memapp.chroma.leases import OthersLeases, take_lease
from memapp.chroma.memory_records import Fields
from memapp.chroma.recent_changes import RecentChange, RecentChanges
from memapp.chroma.roster import Entry, Roster, Write, make_entry, read_roster
from memapp.chroma.where import stamp
from memapp.errors import StoreBroken, StoreUnavailable
from memapp.ports import Clock
from memapp.records import Vector

SLOTS = 16
"""Processes that write to one shard without taking slots from each other; with more, memapp stays
right but reads users anew more often."""

KEPT, TRIMMED = 8, 48
"""A writer keeps its last changes of each user, at least 8, and removes older ones 48 at a time,
whosever they are: a deletion costs Chroma as much as an addition, however few records it names."""

GONE = "-"
"""Awaited when the memory is to be deleted."""

Found = tuple[Mapping[str, Any], str]
"""Metadata and text of a record."""

_ATTEMPTS = 5
_USERS_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to write; without a vector it gets a direction of its own, near to nothing."""

    id: str
    fields: Fields
    text: str = ""
    vector: Vector | None = None


class Awaited(NamedTuple):
    """What a memory will be after a later request.

    Attributes:
        token: What it will have, or `GONE`.
        created: When it was created, by which it is told from one that is added in its place; see
            `where.stamp`.
        version: What it will have; 0 if it will be gone.
    """

    token: str
    created: int
    version: int


@dataclass(frozen=True, slots=True)
class Change:
    """Which memories of a user change.

    Attributes:
        user_id: Whose they are.
        memory_ids: Which.
        awaited: What the memory will be, if the change is a later request; None if it is part of
            the same.
    """

    user_id: str
    memory_ids: tuple[str, ...]
    awaited: Awaited | None = None


@dataclass(slots=True)
class _Writer:
    """This process as a writer.

    Attributes:
        name: Its own.
        slot: What it holds.
        process: Its id; a fork is another writer.
        numbers: Of its last change of each user.
        tokens: Of the same changes.
        trimmed: Number of the last change that was removed, by user.
        old: Numbers of the changes to be removed, by user.
        announced: Changes, by user and number, that are made by a later request.
    """

    name: str
    slot: str
    process: int
    numbers: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    trimmed: dict[str, int] = field(default_factory=dict)
    old: dict[str, range] = field(default_factory=dict)
    announced: set[tuple[str, int]] = field(default_factory=set)


class ChangeLog:
    """Writes to one shard, from this process; one at a time, for the numbers must have no gaps."""

    def __init__(
        self, clock: Clock, dimensions: int, recent: RecentChanges, family: str | None = None
    ) -> None:
        """Take a slot at the first write only.

        Args:
            clock: Tells the time.
            dimensions: Length of a vector.
            recent: Where changes are noted as they are acknowledged.
            family: Of this process, if what it writes is counted in memory that all of it share;
                else empty. None where nobody can have a lease.
        """
        self._family = family
        self._others = OthersLeases(family or "")
        self._clock = clock
        self._recent = recent
        self._dimensions = dimensions
        self._lock = Lock()
        self._writer: _Writer | None = None

    def publish(
        self,
        shard: Collection,
        records: Sequence[NewRecord],
        changes: Sequence[Change],
        *,
        read: Sequence[str] = (),
        renew: bool = False,
    ) -> dict[str, Found]:
        """Write records together with the changes they make, and read back.

        Args:
            shard: Where.
            records: What to add; those whose id is there already are left as they are.
            changes: At most one for each user.
            read: Ids to read afterwards.
            renew: Overwrite records that are there already.

        Returns:
            Metadata and text of those of `read` that are there, by id.
        """
        with self._lock:
            return self._publish_valid(shard, records, changes, read, renew=renew)

    def _publish_valid(
        self,
        shard: Collection,
        records: Sequence[NewRecord],
        changes: Sequence[Change],
        read: Sequence[str],
        *,
        renew: bool,
    ) -> dict[str, Found]:
        for _ in range(_ATTEMPTS):
            found = None
            try:
                found = self._publish(shard, records, changes, read, renew=renew)
            finally:
                if found is None:
                    # Whether the numbers are taken is unknown: never use them again.
                    self._writer = None
            if found is not None:
                return found
        message = f"too many processes write to {shard.name} at once"
        raise StoreBroken(message)

    @contextmanager
    def announced(
        self,
        shard: Collection,
        change: Change,
        *,
        records: Sequence[NewRecord] = (),
        read: Sequence[str] = (),
    ) -> Iterator[dict[str, Found]]:
        """Publish a change that is made, by further requests, inside the `with` block.

        Until then its announcement stays in the log, so that whoever begins to read the user
        meanwhile knows of it.
        """
        with self._lock:
            found = self._publish_valid(shard, records, [change], read, renew=False)
            writer = self._writer
            mark = (change.user_id, 0)
            if writer is not None:
                mark = (change.user_id, writer.numbers[change.user_id])
                writer.announced.add(mark)
        try:
            yield found
        finally:
            if writer is not None:
                writer.announced.discard(mark)

    def note_ends(self, ends: Mapping[str, int]) -> None:
        """Note the place of the last change published, by user, in the order of ending.

        To be called before another is published for these users: additions go one after the other.
        """
        writer = self._writer
        if writer is not None:
            self._recent.note_ends(writer.name, ends)

    def respect_leases(self, shard: Collection) -> None:
        """See that nobody believes any more what it knew before this call.

        To be called after a change that is not published, before it is acknowledged.
        """
        with self._lock:
            self._respect(shard)

    def take_lease(self, shard: Collection) -> Roster:
        """Take a lease on the shard for this process's family; return the roster."""
        lease = Entry(new_token(), self._family or "", "lease")
        return take_lease(shard, lease, self._writing(shard))

    def sweep(self, shard: Collection, settled: int) -> None:
        """Remove the changes that nobody reads any more.

        These are the changes of writers that hold no slot, and those that are older than what any
        reader keeps, but for each writer's last one of each user.

        Args:
            shard: Where.
            settled: Changes from before this time are old; see `where.stamp`.
        """
        changes = shard.get(where={"kind": "change"}, include=("metadatas",))
        # Read after the changes: a writer takes its slot before its first change.
        writers = {fields["writer"] for fields in read_slots(shard).values()}
        last: dict[tuple[str, str], int] = {}
        for fields in changes.metadatas:
            mine = (fields["change_of"], fields["writer"])
            last[mine] = max(last.get(mine, 0), fields["number"])
        shard.delete(
            [
                one
                for one, fields in zip(changes.ids, changes.metadatas, strict=True)
                if fields["writer"] not in writers
                or (
                    fields.get("at", 0) < settled
                    and fields["number"] < last[fields["change_of"], fields["writer"]]
                )
            ]
        )

    def _publish(
        self,
        shard: Collection,
        records: Sequence[NewRecord],
        changes: Sequence[Change],
        read: Sequence[str],
        *,
        renew: bool,
    ) -> dict[str, Found] | None:
        writer = self._registered(shard)
        tokens = {change.user_id: new_token() for change in changes}
        log = [_user_record(user) for user in tokens if user not in writer.numbers]
        log += [
            self._mark(writer, user) for user in tokens if writer.numbers.get(user, 0) + 1 == KEPT
        ]
        made = [self._record(writer, change, tokens[change.user_id]) for change in changes]
        expected = {
            layout.change_id(user, writer.name, writer.numbers[user]): writer.tokens[user]
            for user in tokens
            if user in writer.numbers
        }
        try:
            self._write(shard, [*records, *log, *made], renew=renew)
        except OutcomeUnknown:
            if not made:
                raise
            # Records are stored in order: with the changes, which are last, all are there.
            expected |= {record.id: record.fields["token"] for record in made}
        found = _read(shard, [*read, writer.slot, *expected, *self._others.ids_at_end])
        if not _is_valid(writer, found, expected):
            return None
        if not self._others.is_end_known({one: fields for one, (fields, _) in found.items()}):
            self._respect(shard)
        for user, token in tokens.items():
            writer.numbers[user] = writer.numbers.get(user, 0) + 1
            writer.tokens[user] = token
        for change in changes:
            self._note(writer, change, records, found)
        self._trim(shard, writer, tokens)
        return {one: found[one] for one in read if one in found}

    def _respect(self, shard: Collection) -> None:
        if self._family is None:
            return
        end = Entry(new_token(), self._family, "end")
        self._others.respect(shard, read_roster(shard), end, self._writing(shard))

    def _writing(self, shard: Collection) -> Write:
        return lambda one, fields: self._write(shard, [NewRecord(one, dict(fields))], renew=False)

    def _note(
        self,
        writer: _Writer,
        change: Change,
        records: Sequence[NewRecord],
        found: Mapping[str, Found],
    ) -> None:
        """Note a change if it consists of memories that are new, and were found as written."""
        user, changed = change.user_id, set(change.memory_ids)
        written = [record for record in records if record.id in changed]
        vectors = [
            record.vector
            for record in written
            if record.vector is not None
            and record.id in found
            and found[record.id][0].get("token") == record.fields["token"]
        ]
        if change.awaited is not None or len(vectors) != len(changed):
            self._recent.forget(writer.name, user)
            return
        memories = Records(
            ids=[record.id for record in written],
            metadatas=[found[record.id][0] for record in written],
            documents=[found[record.id][1] for record in written],
            vectors=np.stack(vectors),
            distances=[],
        )
        noted = RecentChange(writer.name, writer.numbers[user], writer.tokens[user], memories)
        self._recent.note(user, noted)

    def _mark(self, writer: _Writer, user: str) -> NewRecord:
        """Return a record by which whoever saw no change yet learns that the first may be gone."""
        fields: Fields = {
            "kind": "change",
            "change_of": user,
            "writer": writer.name,
            "number": 0,
            "token": new_token(),
            "memories": "",
            "at": stamp(self._clock()),
        }
        return NewRecord(layout.change_id(user, writer.name, 0), fields)

    def _record(self, writer: _Writer, change: Change, token: str) -> NewRecord:
        number = writer.numbers.get(change.user_id, 0) + 1
        fields: Fields = {
            "kind": "change",
            "change_of": change.user_id,
            "writer": writer.name,
            "number": number,
            "token": token,
            "memories": " ".join(change.memory_ids),
            "at": stamp(self._clock()),
        }
        if change.awaited is not None:
            fields["awaited"] = " ".join(map(str, change.awaited))
        return NewRecord(layout.change_id(change.user_id, writer.name, number), fields)

    def _write(self, shard: Collection, records: Sequence[NewRecord], *, renew: bool) -> None:
        write = shard.upsert if renew else shard.add
        write(
            [record.id for record in records],
            np.stack([self._vector(record) for record in records]),
            [record.fields for record in records],
            [record.text for record in records],
        )

    def _vector(self, record: NewRecord) -> Vector:
        if record.vector is not None:
            return record.vector
        return direction(record.id, self._dimensions)

    def _trim(self, shard: Collection, writer: _Writer, users: Iterable[str]) -> None:
        for user in users:
            if numbers := _old_changes(writer, user):
                writer.old[user] = numbers
        if sum(map(len, writer.old.values())) < TRIMMED:
            return
        ids = [
            layout.change_id(user, writer.name, number)
            for user, numbers in writer.old.items()
            for number in numbers
        ]
        # What was published stands; what cannot be removed now is removed with the next.
        with suppress(StoreUnavailable):
            shard.delete(ids)
            writer.trimmed |= {user: numbers[-1] for user, numbers in writer.old.items()}
            writer.old.clear()

    def _registered(self, shard: Collection) -> _Writer:
        writer = self._writer
        is_ours = writer is not None and writer.process == os.getpid()
        if writer is not None and is_ours and len(writer.numbers) < _USERS_REMEMBERED:
            return writer
        self._writer = self._register(shard, None if writer is None else writer.slot)
        return self._writer

    def _register(self, shard: Collection, former: str | None) -> _Writer:
        for _ in range(_ATTEMPTS):
            # A new one each time: an attempt whose answer was lost may still come through.
            name = secrets.token_hex(6)
            slots = read_slots(shard)
            free = [layout.slot_id(n) for n in range(SLOTS) if layout.slot_id(n) not in slots]
            oldest = min(slots, key=lambda slot: slots[slot]["since"], default=None)
            slot = former or (random.choice(free) if free else oldest)  # noqa: S311
            if slot is None:  # pragma: no cover - there is a free slot or an oldest one
                continue
            fields = {"kind": "writer", "writer": name, "since": stamp(self._clock())}
            with suppress(OutcomeUnknown):
                self._write(shard, [NewRecord(slot, fields)], renew=slot not in free)
            holds = read_slots(shard).get(slot, {}).get("writer") == name
            if holds and self._enter(shard, name):
                return _Writer(name, slot, os.getpid())
            former = None
        message = f"too many processes write to {shard.name} at once"
        raise StoreBroken(message)

    def _enter(self, shard: Collection, name: str) -> bool:
        """Make a writer's entry in the roster; False if others are always faster."""
        return make_entry(shard, Entry(name, self._family or ""), self._writing(shard)) is not None


def _old_changes(writer: _Writer, user: str) -> range:
    """Return the numbers of the changes that nobody who is up to date needs."""
    # A copy, made in one step: those that are made leave it without the lock.
    under_way = [number for whose, number in list(writer.announced) if whose == user]
    last = min([writer.numbers[user] - KEPT, *(number - 1 for number in under_way)])
    return range(writer.trimmed.get(user, 0) + 1, last + 1)


def _is_valid(writer: _Writer, found: Mapping[str, Found], expected: Mapping[str, str]) -> bool:
    """Tell whether a writer still holds its slot, and records still have the expected tokens."""
    if writer.slot not in found or found[writer.slot][0]["writer"] != writer.name:
        return False
    return all(one in found and found[one][0]["token"] == token for one, token in expected.items())


def _user_record(user_id: str) -> NewRecord:
    fields: Fields = {"kind": "user", "owner": user_id, "token": new_token()}
    return NewRecord(layout.user_record_id(user_id), fields)


def slot_ids() -> list[str]:
    """Return the ids of all slots."""
    return [layout.slot_id(slot) for slot in range(SLOTS)]


def read_slots(shard: Collection) -> dict[str, Mapping[str, Any]]:
    """Return who holds which slot: the metadata of each slot that is held, by id."""
    return {slot: fields for slot, (fields, _) in _read(shard, slot_ids()).items()}


def new_token() -> str:
    """Return a name for one write that no other write has."""
    return secrets.token_hex(8)


def _read(shard: Collection, ids: Sequence[str]) -> dict[str, Found]:
    records = shard.get(ids=ids, include=("metadatas", "documents"))
    found = zip(records.metadatas, records.documents, strict=True)
    return dict(zip(records.ids, found, strict=True))
