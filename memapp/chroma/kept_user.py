"""What a process knows of one user, and how far each writer's changes are part of it.

`change_log` says how changes are told; this follows them.
"""

import time
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from memapp.chroma import memory_layout as layout
from memapp.chroma.change_log import GONE, Awaited, slot_ids
from memapp.chroma.collection import Records
from memapp.chroma.recent_changes import RecentChange
from memapp.chroma.user_snapshot import Snapshot
from memapp.chroma.where import stamp
from memapp.records import Memory

MAX_AGE = 600.0
"""Seconds; then a user is read anew, and changes announced but never made are forgotten."""

AHEAD = 4
"""How many changes of one writer are asked for at once."""

Fields = Mapping[str, Any]


class OutdatedError(Exception):
    """What is known of a user cannot be brought up to date by its changes."""


@dataclass(frozen=True, slots=True)
class Signs:
    """Ids of records that are there, and of ones that are not, as long as a user is unchanged.

    Attributes:
        there: Of records that are there.
        missing: Of records that are not.
        following: Of the next changes of each writer, which are not there, with writer and number.
    """

    there: frozenset[str]
    missing: frozenset[str]
    following: Mapping[str, tuple[str, int]]

    @property
    def ids(self) -> frozenset[str]:
        """All of them."""
        return self.there | self.missing | self.following.keys()

    def further(self, found: Set[str]) -> dict[str, int] | None:
        """Return who has written since, up to which number; None if more has changed."""
        if not (self.there <= found and self.missing.isdisjoint(found)):
            return None
        last: dict[str, int] = {}
        for one in self.following.keys() & found:
            writer, number = self.following[one]
            last[writer] = max(number, last.get(writer, 0))
        return last


@dataclass(slots=True)
class KeptUser:
    """What is known of one user, and how far each writer's changes are part of it.

    Attributes:
        roster: Number of the last entry of the shard's roster before `slots` were read.
        gone: Memories that were changed, and not there when they were read.
        has_changed: Whether something was new when it was last checked.
        is_outdated: Whether it cannot be brought up to date by its changes.
        ended: How many writes had ended, by `write_marks`, all of which are part of it; None if
            nobody counts. If no more have begun, it is all that there is.
        checked_at: When it was last looked at in Chroma, by the monotonic clock.
        confirmed: Number of the roster's last entry, if that was seen to be the last before what is
            kept was found to be as it is in Chroma, or made so; else 0.
    """

    user_id: str
    birth: str
    slots: dict[str, str]
    seen: dict[str, tuple[int, str]]
    awaited: dict[str, set[Awaited]]
    snapshot: Snapshot
    roster: int
    gone: set[str] = field(default_factory=set)
    has_changed: bool = False
    is_outdated: bool = False
    loaded_at: float = field(default_factory=time.monotonic)
    ended: int | None = None
    checked_at: float = 0.0
    confirmed: int = 0

    def ids_to_check(self) -> list[str]:
        """Return what to ask for: who this is, what was seen last, what would follow."""
        ids = [layout.user_record_id(self.user_id), *self.awaited]
        for writer, (number, _) in self.seen.items():
            numbers = range(number, number + AHEAD + 1)
            ids += [layout.change_id(self.user_id, writer, n) for n in numbers]
        return ids

    def signs(self, ahead: int = AHEAD) -> Signs | None:
        """Return the ids that tell whether anything is new; None if ids alone cannot tell.

        Args:
            ahead: How many changes of each writer are looked for, at least 1; with 1 it is seen
                that there are some, not how many.
        """
        # Where there was something new the last time, there may be again. And without a change
        # seen, a user who was forgotten and remembered anew looks the same.
        if self.awaited or self.has_changed or not self.roster:
            return None
        if not any(number for number, _ in self.seen.values()):
            return None
        there = [layout.user_record_id(self.user_id), layout.roster_id(self.roster)]
        missing = [layout.roster_id(self.roster + 1)]
        following: dict[str, tuple[str, int]] = {}
        for writer, (number, _) in self.seen.items():
            last = layout.change_id(self.user_id, writer, number)
            (there if number else missing).append(last)
            for further in range(number + 1, number + ahead):
                following[layout.change_id(self.user_id, writer, further)] = (writer, further)
            missing.append(layout.change_id(self.user_id, writer, number + ahead))
        return Signs(frozenset(there), frozenset(missing), following)

    def signs_now(self) -> Signs | None:
        """Return `signs`, or None if it is time to read the user anew."""
        return self.signs() if self.loaded_at > time.monotonic() - MAX_AGE else None

    @property
    def roster_ids(self) -> tuple[str, str]:
        """The ids of the last entry of the roster that is known, and of the one behind it."""
        return layout.roster_id(self.roster), layout.roster_id(self.roster + 1)

    def knows_roster(self, found: Container[str]) -> bool:
        """Tell whether the last entry known is still there, and none behind it."""
        last, following = self.roster_ids
        return last in found and following not in found

    def take(self, changes: Sequence[RecentChange]) -> bool:
        """Take in what writers have added, of each in order; False, with nothing taken, if not.

        They may tell of memories that are known, or known to be gone, which may have been read
        after they were written.
        """
        memories = [change.memories for change in changes]
        ids = [one for records in memories for one in records.ids]
        known = self.snapshot.tokens.keys() | self.gone
        if len(set(ids)) < len(ids) or not known.isdisjoint(ids):
            return False
        if memories:
            self.snapshot = Snapshot.joined([self.snapshot, *map(Snapshot.of, memories)])
        for change in changes:
            self.seen[change.writer] = (change.number, change.token)
        return True

    def follow(self, found: Mapping[str, Fields]) -> tuple[set[str], bool]:
        """Read on in the log as far as it was found.

        Returns:
            The memories to read again, and whether there may be more changes.

        Raises:
            OutdatedError: the user must be read anew.
        """
        record = found.get(layout.user_record_id(self.user_id))
        if record is None or record["token"] != self.birth:
            raise OutdatedError
        if time.monotonic() - self.loaded_at > MAX_AGE:
            raise OutdatedError
        slots = {slot: str(found[slot]["writer"]) for slot in slot_ids() if slot in found}
        if any(slots.get(slot) != writer for slot, writer in self.slots.items()):
            raise OutdatedError
        changed = self._awaited_changes(found)
        is_behind = False
        for writer in list(self.seen):
            memories, has_more = self._follow_writer(writer, found)
            changed |= memories
            is_behind |= has_more
        for slot, writer in slots.items():
            if slot not in self.slots:
                self.slots[slot] = writer
                self.seen[writer] = (0, "")
                is_behind = True
        return changed, is_behind

    def _follow_writer(self, writer: str, found: Mapping[str, Fields]) -> tuple[set[str], bool]:
        number, token = self.seen[writer]
        if number:
            last = found.get(layout.change_id(self.user_id, writer, number))
            if last is None or last["token"] != token:
                raise OutdatedError
        changed: set[str] = set()
        for following in range(number + 1, number + AHEAD + 1):
            change = found.get(layout.change_id(self.user_id, writer, following))
            if change is None:
                if following == 1 and layout.change_id(self.user_id, writer, 0) in found:
                    raise OutdatedError  # The first ones were trimmed before they were seen.
                return changed, False
            self.seen[writer] = (following, str(change["token"]))
            changed.update(str(change["memories"]).split())
            await_change(self.awaited, change)
        return changed, True

    def _awaited_changes(self, found: Mapping[str, Fields]) -> set[str]:
        """Return the memories among those to be watched that are not what is kept of them."""
        changed = set()
        for one in self.awaited:
            fields = found.get(one)
            now = None if fields is None else fields["token"]
            if now != self.snapshot.tokens.get(one):
                changed.add(one)
        return changed

    def settle(self, ids: Iterable[str], fresh: Snapshot) -> None:
        """Stop watching memories, as they were just read, whose announced change has come."""
        for one in ids:
            if one in self.awaited:
                memory, token = fresh.memory(one), fresh.tokens.get(one, GONE)
                left = {
                    awaited
                    for awaited in self.awaited[one]
                    if awaited.token != token and not _has_gone_past(memory, awaited)
                }
                self.awaited[one] = left
                if not left:
                    del self.awaited[one]

    def replace(self, ids: Sequence[str], records: Records) -> None:
        """Make a new snapshot in which the memories `ids` are as they were just read."""
        replaced = set(ids)
        fresh = Snapshot.of(records, replaced)
        self.snapshot = Snapshot.joined([self.snapshot.without(replaced), fresh])
        self.gone = (self.gone | replaced) - fresh.tokens.keys()
        self.settle(ids, fresh)


def await_change(awaited: dict[str, set[Awaited]], change: Fields) -> None:
    """Note what memories will be, if that is what a change announces."""
    if "awaited" in change:
        token, created, version = str(change["awaited"]).split()
        for one in str(change["memories"]).split():
            awaited.setdefault(one, set()).add(Awaited(token, int(created), int(version)))


def _has_gone_past(memory: Memory | None, awaited: Awaited) -> bool:
    """Tell whether what was announced of a memory can no longer come, as it is another by now.

    A change cannot if the memory has a later version. A deletion cannot if another memory was added
    in the place of the one to be deleted, for it is bound to that.
    """
    if memory is None:
        return False
    is_same = stamp(memory.created_at) == awaited.created
    return not is_same if awaited.token == GONE else is_same and memory.version > awaited.version
