"""Users' memories kept in this process, as long as they are what Chroma has.

A search that is answered from here costs at most one read by id instead of a filtered query, and
compares all of the user's vectors, to the precision of `kept_vectors`. `change_log` says how a
reader knows what changed, `write_marks` and `leases` when it need not ask; this is the reader.
Users that are too large, and larger ones that are asked for too seldom, are read from Chroma as
ever.
"""

import time
from collections.abc import Callable, Container, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

from memapp.chroma import memory_layout as layout
from memapp.chroma.cache_budget import Budget
from memapp.chroma.change_log import GONE, Awaited, slot_ids
from memapp.chroma.collection import Collection, Records
from memapp.chroma.leases import FamilyLease
from memapp.chroma.recent_changes import Behind, Missed, RecentChange
from memapp.chroma.roster import Roster, read_roster
from memapp.chroma.user_snapshot import MEMORY_OVERHEAD, Snapshot
from memapp.chroma.where import stamp
from memapp.chroma.write_marks import WriteMarks
from memapp.coalescing import Coalescer
from memapp.errors import StoreUnavailable
from memapp.records import Memory

MOST_MEMORIES = 10_000
"""Reading more from Chroma, vectors included, takes seconds."""

SMALL = 250
"""So many memories of a user are read whole at the first search, for they cost hardly more than a
filtered query: 100 in a collection of 12,500 took 12 ms, the ten nearest of them 14; in one of
50,000, 18 and 49."""

MAX_AGE = 600.0
"""Seconds; then a user is read anew, and changes announced but never made are forgotten."""

TRUSTED_SECONDS = 5.0
"""For how long the counts of writes are believed, should somebody write who does not count."""

LEASED_SECONDS = 60.0
"""For how long they are under a lease, should somebody write who does not keep to it."""

AHEAD = 4
"""How many changes of one writer are asked for at once."""

TAKEN_ALONG = 8
"""Users that a check confirms beside those it is for: to look at them all costs it a tenth of what
a check of each would."""

LOOKED_THROUGH = 2_000
"""Among so many kept users, at most, one is looked for by a memory's id: a read of Chroma, which
takes 1 ms, would be hardly dearer."""

_VISITED = 32
_CHECKED_TOGETHER = 64
_READ_TOGETHER = 250
_WHOLE = ("metadatas", "documents", "embeddings")

Fields = Mapping[str, Any]


@dataclass(slots=True)
class _User:
    """What is known of one user, and how far each writer's changes are part of it.

    Attributes:
        roster: Number of the last entry of the shard's roster before `slots` were read.
        gone: Memories that were changed, and not there when they were read.
        has_changed: Whether something was new when it was last checked.
        is_outdated: Whether it cannot be brought up to date by its changes.
        ended: How many writes had ended, by `write_marks`, all of which are part of it; None if
            nobody counts.
        settled: The same, or None if others were under way then.
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
    settled: int | None = None
    checked_at: float = 0.0
    confirmed: int = 0

    def ids_to_check(self) -> list[str]:
        """Return what to ask for: who this is, what was seen last, what would follow."""
        ids = [layout.user_record_id(self.user_id), *self.awaited]
        for writer, (number, _) in self.seen.items():
            numbers = range(number, number + AHEAD + 1)
            ids += [layout.change_id(self.user_id, writer, n) for n in numbers]
        return ids

    def signs(self, ahead: int = AHEAD) -> "_Signs | None":
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
        return _Signs(frozenset(there), frozenset(missing), following)

    def signs_now(self) -> "_Signs | None":
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


@dataclass(frozen=True, slots=True)
class _Signs:
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


@dataclass(frozen=True, slots=True)
class _Announced:
    """What is known of a user before any memory is read; the names are those of `_User`."""

    birth: str
    slots: Mapping[str, str]
    roster: int


class _OutdatedError(Exception):
    """What is known of a user cannot be brought up to date by its changes."""


class ShardCache:
    """The users of one shard that this process keeps; safe for many threads."""

    def __init__(
        self,
        budget: Budget,
        marks: WriteMarks | None,
        inquire: Callable[[Sequence[Behind | Missed]], Sequence[Sequence[RecentChange] | None]],
        *,
        family: str = "",
        take_lease: Callable[[Collection], Roster] = read_roster,
    ) -> None:
        """Keep users within a budget that all shards share.

        Args:
            budget: How much may be kept.
            marks: Counts of all writes, where all that write share them.
            inquire: Asks whoever writes in this process's reach for its last changes; answers in
                the same order, with None where it does not know.
            family: Of the processes that share `marks`, if others write, too (see `leases`).
            take_lease: Takes a lease for the family, and returns the roster.
        """
        self._budget = budget
        self._marks = marks
        self._inquire = inquire
        self._users: dict[str, _User] = {}
        self._roster = 0
        self._family = family
        self._lease = FamilyLease(family)
        self._take_lease = take_lease
        self._to_visit: list[str] = []
        self._lanes: Coalescer[tuple[Collection, str], Snapshot | None] = Coalescer(
            self._check_together, most=_CHECKED_TOGETHER
        )

    def snapshot(self, shard: Collection, user_id: str) -> Snapshot | None:
        """Return a user's memories as they are now; None if they are not kept here.

        Everything acknowledged before the call is in it.
        """
        key = (shard.name, user_id)
        user = self._users.get(user_id)
        if user is None:
            searches = self._budget.count_search(key)
            if searches >= self._budget.loads_at:
                return self._load(shard, user_id)
            return self._load(shard, user_id, if_small=True) if searches == 1 else None
        if self._is_unchanged(key, user):
            self._budget.touch(key)
            return user.snapshot
        found = self._check(shard, user)
        return self._load(shard, user_id) if found is None else found

    def memory(self, shard: Collection, memory_id: str) -> Memory | None:
        """Return a memory as it is now, if that can be told without reading it; else None.

        Everything acknowledged before the call is in it.
        """
        if self._marks is None or (self._family and not self._lease.number):
            return None  # To look at its user each time is no cheaper than to read it.
        users = list(self._users.values()) if len(self._users) <= LOOKED_THROUGH else []
        for user in users:
            if memory_id in user.snapshot.tokens:
                key = (shard.name, user.user_id)
                if self._is_unchanged(key, user):
                    self._budget.touch(key)
                    return user.snapshot.memory(memory_id)
                if not self._is_as_counted(key, user) or user.signs_now() is None:
                    return None
                snapshot = self._check(shard, user)
                return None if snapshot is None else snapshot.memory(memory_id)
        return None

    def drop(self, user_id: str) -> None:
        """Keep a user no longer."""
        self._users.pop(user_id, None)

    def _check(self, shard: Collection, user: _User) -> Snapshot | None:
        """Return a kept user's memories, brought up to date; None if they must be read anew."""
        found = self._lanes.submit([(shard, user.user_id)])[0]
        if found is None:
            return None
        self._budget.touch((shard.name, user.user_id))
        if user.confirmed and self._lease.is_due():
            with suppress(StoreUnavailable):
                self._lease.learn(self._take_lease(shard), shard.identity)
        return found

    def _load(self, shard: Collection, user_id: str, *, if_small: bool = False) -> Snapshot | None:
        key = (shard.name, user_id)
        before = self._users.pop(user_id, None)
        if not self._budget.may_load(key):
            return None
        ended, settled, now = *self._counted(key), time.monotonic()
        user = None
        try:
            announced = self._announced(shard, user_id)
            known = None if before is None else before.snapshot
            if announced is not None:
                user = _read_user(
                    shard, user_id, self._budget, announced, known=known, if_small=if_small
                )
        finally:
            is_over = user is not None or not if_small
            self._budget.has_loaded(key, counts_anew=is_over)
        if user is None:
            return None
        user.ended, user.settled, user.checked_at = ended, settled, now
        self._users[user_id] = user
        self._account_for(shard, user)
        return user.snapshot

    def _announced(self, shard: Collection, user_id: str) -> "_Announced | None":
        """Read who writes, and that there is anything of a user; None if there is nothing."""
        record = layout.user_record_id(user_id)
        # Other threads learn of new entries meanwhile, whose slots are not among those read here.
        roster = self._roster
        last, following = (layout.roster_id(n) for n in (roster, roster + 1))
        wanted = [*slot_ids(), record, last, following]
        found = _fields(shard, wanted)
        if not (roster and last in found and following not in found):
            # The roster is read before the slots; `roster` says why.
            self._roster = roster = self._read_roster(shard)
            found = _fields(shard, wanted)
        if record not in found:
            return None  # Nothing is kept for the user, or nothing that could be followed.
        slots = {slot: str(found[slot]["writer"]) for slot in slot_ids() if slot in found}
        return _Announced(str(found[record]["token"]), slots, roster)

    def _account_for(self, shard: Collection, user: _User) -> None:
        drop = partial(self.drop, user.user_id)
        self._budget.keep((shard.name, user.user_id), user.snapshot.size, drop)

    def _counted(self, key: tuple[str, str]) -> tuple[int | None, int | None]:
        """Return what to note as `ended` and `settled` of a user who is read after this call."""
        if self._marks is None:
            return None, None
        # In this order: so all that has ended is known where none is found to be under way.
        ended = self._marks.ended(key)
        return ended, self._marks.settled(key)

    def _is_unchanged(self, key: tuple[str, str], user: _User) -> bool:
        """Tell without Chroma that what is kept of a user is what Chroma has."""
        return self._is_as_counted(key, user) and self._is_believed(user)

    def _is_believed(self, user: _User) -> bool:
        """Tell whether nobody who does not count can have changed a user since it was checked."""
        age = time.monotonic() - user.checked_at
        if not self._family:
            return age < TRUSTED_SECONDS
        return age < LEASED_SECONDS and self._lease.is_believed(user.confirmed)

    def _is_as_counted(self, key: tuple[str, str], user: _User) -> bool:
        """Tell whether nobody who counts has begun to write since a user was last checked."""
        settled = user.settled
        if self._marks is None or settled is None:
            return False
        return not self._marks.has_begun_since(key, settled)

    def _read_roster(self, shard: Collection) -> int:
        """Return the number of the last entry; 0 if there is none."""
        roster = read_roster(shard)
        self._lease.learn(roster, shard.identity)
        return max(roster, default=0)

    def _check_together(self, wanted: list[tuple[Collection, str]]) -> list[Snapshot | None]:
        shard = wanted[0][0]
        users = {user_id: self._users.get(user_id) for _, user_id in wanted}
        known = [user for user in users.values() if user is not None]
        try:
            self._bring_up_to_date(shard, known)
        except BaseException:
            # They count changes as seen whose memories were not read.
            for one in known:
                self._users.pop(one.user_id, None)
            raise
        return [
            None if (user := users[user_id]) is None or user.is_outdated else user.snapshot
            for _, user_id in wanted
        ]

    def _bring_up_to_date(self, shard: Collection, users: Sequence[_User]) -> None:
        users = self._take_missed(shard, users)
        if not users:
            return
        now = time.monotonic()
        counted = [self._counted((shard.name, user.user_id)) for user in users]
        self._look_at(shard, users, now)
        for user, (ended, settled) in zip(users, counted, strict=True):
            if not user.is_outdated:
                user.ended, user.settled, user.checked_at = ended, settled, now
                self._lease.note(user.confirmed, now)

    def _take_missed(self, shard: Collection, users: Sequence[_User]) -> list[_User]:
        """Bring users up to date by what writers tell alone; return the others.

        It is enough if all that has ended since is told, and nothing is under way that somebody
        may have seen.
        """
        asked = {
            user.user_id: missed
            for user in users
            if (missed := self._missed_by(shard, user)) is not None
        }
        told = dict(zip(asked, self._inquire(list(asked.values())), strict=True)) if asked else {}
        left = []
        for user in users:
            changes = told.get(user.user_id)
            if changes is None or not _take(user, _by_writer(changes)):
                left.append(user)
                continue
            user.ended = user.settled = asked[user.user_id].until
            if user.user_id in self._users:
                self._account_for(shard, user)
        return left

    def _missed_by(self, shard: Collection, user: _User) -> Missed | None:
        """Return what a user lacks, if it can be all that is told."""
        _, settled = self._counted((shard.name, user.user_id))
        if settled is None or user.ended is None or user.is_outdated:
            return None
        if not self._is_believed(user):
            return None
        seen = {writer: number for writer, (number, _) in user.seen.items()}
        return Missed(user.user_id, seen, user.ended, settled)

    def _look_at(self, shard: Collection, users: Sequence[_User], now: float) -> None:
        """Bring users up to date by what Chroma has."""
        signs = [user.signs_now() for user in users]
        asked = [told for told in signs if told is not None]
        along = self._choose_along(users, now) if asked else []
        ids = {one for told in [*asked, *(told for _, told in along)] for one in told.ids}
        ids |= {one for user in users for one in user.roster_ids}
        found = set(shard.get(ids=list(ids)).ids)
        doubtful, late, behind = [], [], []
        for user, known in zip(users, signs, strict=True):
            further = None if known is None else known.further(found)
            if further is None:
                doubtful.append(user)
            elif further:
                behind.append((user, further))
            user.confirmed = user.roster if user.knows_roster(found) else 0
            if user.roster and not user.confirmed:
                late.append(user)
        doubtful += self._catch_up(shard, behind)
        for user, told in along:
            if told.further(found) == {}:
                user.confirmed, user.checked_at = user.roster, now
            else:
                user.checked_at = -inf  # Others may have shown what is new.
        # The roster is read before the slots; `roster` says why.
        latest = self._read_roster(shard) if late else 0
        changed = self._follow(shard, doubtful)
        self._refresh(shard, changed)
        for user in doubtful:
            user.has_changed = any(one is user for one in changed.values())
            if user.awaited or user.is_outdated:
                user.confirmed = 0
        for user in late:
            user.roster = latest

    def _choose_along(self, users: Sequence[_User], now: float) -> list[tuple[_User, _Signs]]:
        """Choose others who need a check of their own at their next search, unless seen now.

        What they were `settled` at stays as it is, so whoever was written to since is not believed.
        """
        if self._marks is None or (self._family and not self._lease.number):
            return []
        asked = {user.user_id for user in users}
        chosen: list[tuple[_User, _Signs]] = []
        for _ in range(min(_VISITED, len(self._users))):
            self._to_visit = self._to_visit or list(self._users)
            if len(chosen) == TAKEN_ALONG or not self._to_visit:
                break
            user = self._users.get(self._to_visit.pop())
            if user is None or user.user_id in asked or not self._needs_check(user, now):
                continue
            told = user.signs(ahead=1)
            if told is not None:
                chosen.append((user, told))
        return chosen

    def _needs_check(self, user: _User, now: float) -> bool:
        """Tell whether a user is not believed any more, or not for much longer."""
        if user.is_outdated or user.loaded_at <= now - MAX_AGE:
            return False  # A check is not enough.
        if not self._family:
            return now - user.checked_at > TRUSTED_SECONDS / 2
        if user.roster != self._lease.number:
            return False  # It must learn who has come to write since.
        return user.confirmed != self._lease.number or now - user.checked_at > LEASED_SECONDS / 2

    def _catch_up(
        self, shard: Collection, behind: Sequence[tuple[_User, Mapping[str, int]]]
    ) -> list[_User]:
        """Take from writers, if they are at hand, what they have written since.

        Args:
            shard: Where.
            behind: Users, and for each writer the last number that was seen there.

        Returns:
            The users that must catch up in Chroma.
        """
        asked = [
            Behind(writer, user.user_id, user.seen[writer][0])
            for user, further in behind
            for writer in further
        ]
        told = dict(zip(asked, self._inquire(asked), strict=True)) if asked else {}
        left = []
        for user, further in behind:
            changes = {
                writer: told[Behind(writer, user.user_id, user.seen[writer][0])] or ()
                for writer in further
            }
            # What is not acknowledged yet is not told, but others may have seen it.
            is_all = all(
                changes[writer] and changes[writer][-1].number >= last
                for writer, last in further.items()
            )
            if not is_all or not _take(user, changes):
                left.append(user)
            elif user.user_id in self._users:
                self._account_for(shard, user)
        return left

    def _follow(self, shard: Collection, users: Sequence[_User]) -> dict[str, _User]:
        """Read on in the log; return whom each memory that must be read again belongs to."""
        changed: dict[str, _User] = {}
        behind = list(users)
        while behind:
            ids = [one for user in behind for one in user.ids_to_check()]
            records = shard.get(ids=[*slot_ids(), *dict.fromkeys(ids)], include=("metadatas",))
            found = dict(zip(records.ids, records.metadatas, strict=True))
            still_behind = []
            for user in behind:
                try:
                    memories, is_behind = _follow_changes(user, found)
                except _OutdatedError:
                    user.is_outdated = True
                    continue
                changed |= dict.fromkeys(memories, user)
                if is_behind:
                    still_behind.append(user)
            behind = still_behind
        return changed

    def _refresh(self, shard: Collection, changed: Mapping[str, _User]) -> None:
        if not changed:
            return
        records = shard.get(ids=list(changed), include=_WHOLE)
        users = {id(user): user for user in changed.values()}
        for user in users.values():
            mine = [one for one, whose in changed.items() if whose is user]
            _replace(user, mine, records)
            if user.user_id in self._users:
                self._account_for(shard, user)


def _read_user(
    shard: Collection,
    user_id: str,
    budget: Budget,
    announced: _Announced,
    *,
    known: Snapshot | None,
    if_small: bool,
) -> _User | None:
    """Read a user: first what is announced, then what is there; None if not to be kept.

    Of what was `known`, only what has changed is read again: whatever still has its token.
    """
    key = (shard.name, user_id)
    changes = shard.get(where={"change_of": user_id}, include=("metadatas",)).metadatas
    # What comes later is in a change that is followed.
    if if_small:
        snapshot = _read_small(shard, user_id)
    else:
        snapshot = _read_large(shard, user_id, budget, known)
    if snapshot is None or budget.refuses(key, snapshot.size):
        return None
    seen = dict.fromkeys(announced.slots.values(), (0, ""))
    awaited: dict[str, set[Awaited]] = {}
    for change in changes:
        writer, number = str(change["writer"]), int(change["number"])
        if writer in seen and number > seen[writer][0]:
            seen[writer] = (number, str(change["token"]))
        _await(awaited, change)
    user = _User(
        user_id,
        announced.birth,
        dict(announced.slots),
        seen,
        awaited,
        snapshot,
        announced.roster,
        gone=awaited.keys() - snapshot.tokens.keys(),
    )
    _settle(user, list(awaited), snapshot)
    return user


def _read_small(shard: Collection, user_id: str) -> Snapshot | None:
    """Read all memories of a user at once; None if there are too many for it."""
    records = shard.get(where={"scope": user_id}, limit=SMALL + 1, include=_WHOLE)
    return Snapshot.of(records) if len(records.ids) <= SMALL else None


def _read_large(
    shard: Collection, user_id: str, budget: Budget, known: Snapshot | None
) -> Snapshot | None:
    """Read those memories of a user that are not `known`; None if they are not to be kept."""
    tokens = _tokens(shard, user_id) if known else dict.fromkeys(_ids(shard, user_id))
    size = len(tokens) * MEMORY_OVERHEAD if len(tokens) <= MOST_MEMORIES else inf
    if budget.refuses((shard.name, user_id), size):
        return None
    kept = [] if known is None else [known.only(tokens)]
    missing = [one for one in tokens if not kept or one not in kept[0].tokens]
    # In parts, because Chroma's client takes 20 kB for a vector until it is an array.
    parts = [missing[i : i + _READ_TOGETHER] for i in range(0, len(missing), _READ_TOGETHER)]
    read: list[Snapshot] = []
    for part in parts:
        read.append(Snapshot.of(shard.get(ids=part, include=_WHOLE)))
        # The first part tells how large all of them are.
        size = sum(one.size for one in kept) + read[0].size * len(missing) / len(parts[0])
        if len(read) == 1 and budget.refuses((shard.name, user_id), size):
            return None
    return Snapshot.joined([*kept, *read])


def _by_writer(changes: Sequence[RecentChange]) -> dict[str, list[RecentChange]]:
    told: dict[str, list[RecentChange]] = {}
    for change in changes:
        told.setdefault(change.writer, []).append(change)
    return told


def _take(user: _User, changes: Mapping[str, Sequence[RecentChange]]) -> bool:
    """Take in what writers have added; False if they tell of memories known, or known to be gone.

    Those may have been read after they were written.
    """
    memories = [change.memories for told in changes.values() for change in told]
    ids = [one for records in memories for one in records.ids]
    known = user.snapshot.tokens.keys() | user.gone
    if len(set(ids)) < len(ids) or not known.isdisjoint(ids):
        return False
    if memories:
        user.snapshot = Snapshot.joined([user.snapshot, *map(Snapshot.of, memories)])
    for writer, told in changes.items():
        user.seen[writer] = (told[-1].number, told[-1].token)
    return True


def _fields(shard: Collection, ids: Sequence[str]) -> dict[str, Fields]:
    records = shard.get(ids=ids, include=("metadatas",))
    return dict(zip(records.ids, records.metadatas, strict=True))


def _ids(shard: Collection, user_id: str) -> list[str]:
    return shard.get(where={"scope": user_id}).ids


def _tokens(shard: Collection, user_id: str) -> dict[str, str | None]:
    found = shard.get(where={"scope": user_id}, include=("metadatas",))
    return {
        one: str(fields["token"]) for one, fields in zip(found.ids, found.metadatas, strict=True)
    }


def _follow_changes(user: _User, found: Mapping[str, Fields]) -> tuple[set[str], bool]:
    """Read on in the log as far as it was found.

    Returns:
        The memories to read again, and whether there may be more changes.

    Raises:
        _OutdatedError: the user must be read anew.
    """
    record = found.get(layout.user_record_id(user.user_id))
    if record is None or record["token"] != user.birth:
        raise _OutdatedError
    if time.monotonic() - user.loaded_at > MAX_AGE:
        raise _OutdatedError
    slots = {slot: str(found[slot]["writer"]) for slot in slot_ids() if slot in found}
    if any(slots.get(slot) != writer for slot, writer in user.slots.items()):
        raise _OutdatedError
    changed = _awaited_changes(user, found)
    is_behind = False
    for writer in list(user.seen):
        memories, has_more = _follow_writer(user, writer, found)
        changed |= memories
        is_behind |= has_more
    for slot, writer in slots.items():
        if slot not in user.slots:
            user.slots[slot] = writer
            user.seen[writer] = (0, "")
            is_behind = True
    return changed, is_behind


def _follow_writer(user: _User, writer: str, found: Mapping[str, Fields]) -> tuple[set[str], bool]:
    number, token = user.seen[writer]
    if number:
        last = found.get(layout.change_id(user.user_id, writer, number))
        if last is None or last["token"] != token:
            raise _OutdatedError
    changed: set[str] = set()
    for following in range(number + 1, number + AHEAD + 1):
        change = found.get(layout.change_id(user.user_id, writer, following))
        if change is None:
            if following == 1 and layout.change_id(user.user_id, writer, 0) in found:
                raise _OutdatedError  # The first ones were trimmed before they were seen.
            return changed, False
        user.seen[writer] = (following, str(change["token"]))
        changed.update(str(change["memories"]).split())
        _await(user.awaited, change)
    return changed, True


def _awaited_changes(user: _User, found: Mapping[str, Fields]) -> set[str]:
    """Return the memories among those to be watched that are not what is kept of them."""
    changed = set()
    for one in user.awaited:
        fields = found.get(one)
        now = None if fields is None else fields["token"]
        if now != user.snapshot.tokens.get(one):
            changed.add(one)
    return changed


def _await(awaited: dict[str, set[Awaited]], change: Fields) -> None:
    if "awaited" in change:
        # Earlier builds wrote the token alone.
        token, *numbers = str(change["awaited"]).split()
        for one in str(change["memories"]).split():
            awaited.setdefault(one, set()).add(Awaited(token, *map(int, numbers)))


def _settle(user: _User, ids: Sequence[str], fresh: Snapshot) -> None:
    """Stop watching memories, as they were just read, whose announced change has come."""
    for one in ids:
        if one in user.awaited:
            memory, token = fresh.memory(one), fresh.tokens.get(one, GONE)
            left = {
                awaited
                for awaited in user.awaited[one]
                if awaited.token != token and not _has_gone_past(memory, awaited)
            }
            user.awaited[one] = left
            if not left:
                del user.awaited[one]


def _has_gone_past(memory: Memory | None, awaited: Awaited) -> bool:
    """Tell whether a later version of the same memory has come than the one announced."""
    return (
        memory is not None
        and stamp(memory.created_at) == awaited.created
        and memory.version > awaited.version
    )


def _replace(user: _User, ids: Sequence[str], records: Records) -> None:
    """Make a new snapshot in which the memories `ids` are as they were just read."""
    replaced = set(ids)
    fresh = Snapshot.of(records, replaced)
    user.snapshot = Snapshot.joined([user.snapshot.without(replaced), fresh])
    user.gone = (user.gone | replaced) - fresh.tokens.keys()
    _settle(user, ids, fresh)
