"""Users' memories kept in this process, as long as they are what Chroma has.

A search that is answered from here costs one read by id at most, while nobody else has come to
write, instead of a filtered query, and compares all of the user's vectors, to the precision of
`kept_vectors`. `change_log` says how a reader knows what changed, `write_marks` and `leases` when
it need not ask; this is the reader. Users that are too large, and larger ones that are asked for
too seldom, are read from Chroma as ever.
"""

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from functools import partial
from math import inf

from memapp.chroma import memory_layout as layout
from memapp.chroma.cache_budget import Budget
from memapp.chroma.change_log import slot_ids
from memapp.chroma.collection import Collection
from memapp.chroma.kept_user import MAX_AGE, Fields, KeptUser, OutdatedError, Signs
from memapp.chroma.leases import FamilyLease
from memapp.chroma.recent_changes import Behind, Missed, RecentChange
from memapp.chroma.roster import Roster, read_roster
from memapp.chroma.user_reading import Announced, read_user
from memapp.chroma.user_snapshot import WHOLE, Snapshot
from memapp.chroma.write_marks import WriteMarks
from memapp.coalescing import Coalescer
from memapp.errors import StoreUnavailable
from memapp.records import Memory

TRUSTED_SECONDS = 5.0
"""For how long the counts of writes are believed, should somebody write who does not count."""

LEASED_SECONDS = 60.0
"""For how long they are under a lease, should somebody write who does not keep to it."""

TAKEN_ALONG = 8
"""Users that a check confirms beside those it is for: to look at them all costs it a tenth of what
a check of each would."""

LOOKED_THROUGH = 2_000
"""Among so many kept users, at most, one is looked for by a memory's id: a read of Chroma, which
takes 1 ms, would be hardly dearer."""

_VISITED = 32
_CHECKED_TOGETHER = 64


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
        self._users: dict[str, KeptUser] = {}
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

    def _check(self, shard: Collection, user: KeptUser) -> Snapshot | None:
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
        if not self._budget.may_load(key):
            return None
        before = self._users.pop(user_id, None)
        ended, now = self._ended(key), time.monotonic()
        user = None
        try:
            announced = self._announced(shard, user_id)
            known = None if before is None else before.snapshot
            if announced is not None:
                user = read_user(
                    shard, user_id, self._budget, announced, known=known, if_small=if_small
                )
        finally:
            is_over = user is not None or not if_small
            self._budget.has_loaded(key, counts_anew=is_over)
            if user is None:
                self._budget.release(key)
        if user is None:
            return None
        user.ended, user.checked_at = ended, now
        self._note_shown(shard, [user])
        self._users[user_id] = user
        self._account_for(shard, user)
        return user.snapshot

    def _announced(self, shard: Collection, user_id: str) -> Announced | None:
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
        return Announced(str(found[record]["token"]), slots, roster)

    def _account_for(self, shard: Collection, user: KeptUser) -> None:
        if self._users.get(user.user_id) is user:
            drop = partial(self.drop, user.user_id)
            self._budget.keep((shard.name, user.user_id), user.snapshot.size, drop)

    def _ended(self, key: tuple[str, str]) -> int | None:
        return None if self._marks is None else self._marks.ended(key)

    def _is_unchanged(self, key: tuple[str, str], user: KeptUser) -> bool:
        """Tell without Chroma that what is kept of a user is what Chroma has."""
        return self._is_as_counted(key, user) and self._is_believed(user)

    def _is_believed(self, user: KeptUser) -> bool:
        """Tell whether nobody who does not count can have changed a user since it was checked."""
        if not self._is_confirmed(user):
            return False
        return not self._family or self._lease.is_believed(user.confirmed)

    def _is_confirmed(self, user: KeptUser) -> bool:
        """Tell whether a user was checked not too long ago, under the family's lease if need be."""
        if user.is_outdated:
            return False
        age = time.monotonic() - user.checked_at
        if not self._family:
            return age < TRUSTED_SECONDS
        return age < LEASED_SECONDS and 0 < user.confirmed == self._lease.number

    def _is_as_counted(self, key: tuple[str, str], user: KeptUser) -> bool:
        """Tell whether all that was acknowledged, or seen, of those who count is part of a user."""
        if self._marks is None or user.ended is None:
            return False
        return self._marks.ended_if_all(key) == user.ended

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
                self.drop(one.user_id)
                self._budget.release((shard.name, one.user_id))
            raise
        return [
            None if (user := users[user_id]) is None or user.is_outdated else user.snapshot
            for _, user_id in wanted
        ]

    def _bring_up_to_date(self, shard: Collection, users: Sequence[KeptUser]) -> None:
        if any(self._is_confirmed(user) and not self._is_believed(user) for user in users):
            self._look_at_lease(shard)
        users = self._take_missed(shard, users)
        if not users:
            return
        now = time.monotonic()
        counted = [self._ended((shard.name, user.user_id)) for user in users]
        self._look_at(shard, users, now)
        for user, ended in zip(users, counted, strict=True):
            if not user.is_outdated:
                user.ended, user.checked_at = ended, now
                self._lease.note(user.confirmed, now)

    def _look_at_lease(self, shard: Collection) -> None:
        """See whether the family's lease goes on; of no user that is asked for is anything seen."""
        number, now = self._lease.number, time.monotonic()
        last, following = layout.roster_id(number), layout.roster_id(number + 1)
        along = self._choose_along((), now)
        ids = {last, following}.union(*(told.ids for _, told in along))
        found = set(shard.get(ids=list(ids)).ids)
        if last in found and following not in found:
            self._lease.note(number, now)
        self._confirm(along, found, now)

    def _take_missed(self, shard: Collection, users: Sequence[KeptUser]) -> list[KeptUser]:
        """Bring users up to date by what writers tell alone; return the others.

        It is enough if all that has ended since is told, unless somebody may have seen more.
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
            if changes is None or not user.take(changes):
                left.append(user)
                continue
            user.ended = asked[user.user_id].until
            self._account_for(shard, user)
        return left

    def _missed_by(self, shard: Collection, user: KeptUser) -> Missed | None:
        """Return what a user lacks, if it can be all that is told."""
        key = (shard.name, user.user_id)
        if self._marks is None or user.ended is None or not self._is_believed(user):
            return None
        ended = self._marks.ended_if_all(key)
        if ended is None:
            return None
        seen = {writer: number for writer, (number, _) in user.seen.items()}
        return Missed(user.user_id, seen, user.ended, ended)

    def _note_shown(self, shard: Collection, users: Iterable[KeptUser]) -> None:
        """Note that users were read in Chroma, before that is part of what is kept of them."""
        if self._marks is not None:
            for user in users:
                self._marks.note_shown((shard.name, user.user_id))

    def _look_at(self, shard: Collection, users: Sequence[KeptUser], now: float) -> None:
        """Bring users up to date by what Chroma has."""
        signs = [user.signs_now() for user in users]
        asked = [told for told in signs if told is not None]
        along = self._choose_along(users, now) if asked else []
        ids = {one for told in [*asked, *(told for _, told in along)] for one in told.ids}
        if self._lease.number:
            # Who must be followed in the log can be believed afterwards, too.
            ids |= {one for user in users for one in user.roster_ids}
        found = set(shard.get(ids=list(ids)).ids)
        doubtful, behind = [], []
        for user, known in zip(users, signs, strict=True):
            further = None if known is None else known.further(found)
            if further is None:
                doubtful.append(user)
            elif further:
                behind.append((user, further))
        doubtful += self._catch_up(shard, behind)
        in_doubt = {user.user_id for user in doubtful}
        for user in users:
            user.confirmed = 0 if user.user_id in in_doubt else user.roster
        self._confirm(along, found, now)
        late = [user for user in users if user.roster and ids.issuperset(user.roster_ids)]
        late = [user for user in late if not user.knows_roster(found)]
        # The roster is read before the slots; `roster` says why.
        latest = self._read_roster(shard) if late else 0
        self._read_on(shard, doubtful, found)
        for user in late:
            user.roster = latest

    def _choose_along(self, users: Sequence[KeptUser], now: float) -> list[tuple[KeptUser, Signs]]:
        """Choose others who need a check of their own at their next search, unless seen now.

        How many had `ended` stays as it is, so whoever was written to since is not believed.
        """
        if self._marks is None or (self._family and not self._lease.number):
            return []
        asked = {user.user_id for user in users}
        chosen: list[tuple[KeptUser, Signs]] = []
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

    def _confirm(
        self, along: Iterable[tuple[KeptUser, Signs]], found: Set[str], now: float
    ) -> None:
        """Note of others what their signs tell, by ids that were found since `now`."""
        for user, told in along:
            if told.further(found) == {}:
                user.confirmed, user.checked_at = user.roster, now
            else:
                user.checked_at = -inf  # Others may have shown what is new.

    def _needs_check(self, user: KeptUser, now: float) -> bool:
        """Tell whether a user is not believed any more, or not for much longer."""
        if user.is_outdated or user.loaded_at <= now - MAX_AGE:
            return False  # A check is not enough.
        if not self._family:
            return now - user.checked_at > TRUSTED_SECONDS / 2
        if user.roster != self._lease.number:
            return False  # It must learn who has come to write since.
        return user.confirmed != self._lease.number or now - user.checked_at > LEASED_SECONDS / 2

    def _catch_up(
        self, shard: Collection, behind: Sequence[tuple[KeptUser, Mapping[str, int]]]
    ) -> list[KeptUser]:
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
        self._note_shown(shard, [user for user, _ in behind])
        left = []
        for user, further in behind:
            changes: list[RecentChange] = []
            is_all = True
            for writer, last in further.items():
                following = told[Behind(writer, user.user_id, user.seen[writer][0])] or ()
                # What is not acknowledged yet is not told, but others may have seen it.
                is_all &= bool(following) and following[-1].number >= last
                changes += following
            if is_all and user.take(changes):
                self._account_for(shard, user)
            else:
                left.append(user)
        return left

    def _read_on(self, shard: Collection, users: Sequence[KeptUser], found: Container[str]) -> None:
        """Bring users up to date by the log; `found` are ids that were there before."""
        changed = self._follow(shard, users)
        self._refresh(shard, changed)
        for user in users:
            user.has_changed = any(one is user for one in changed.values())
            # Only now: whoever is confirmed may be believed by other threads at once.
            if user.knows_roster(found) and not (user.awaited or user.is_outdated):
                user.confirmed = user.roster

    def _follow(self, shard: Collection, users: Sequence[KeptUser]) -> dict[str, KeptUser]:
        """Read on in the log; return whom each memory that must be read again belongs to."""
        changed: dict[str, KeptUser] = {}
        behind = list(users)
        while behind:
            ids = [one for user in behind for one in user.ids_to_check()]
            records = shard.get(ids=[*slot_ids(), *dict.fromkeys(ids)], include=("metadatas",))
            found = dict(zip(records.ids, records.metadatas, strict=True))
            still_behind = []
            for user in behind:
                try:
                    memories, is_behind = user.follow(found)
                except OutdatedError:
                    user.is_outdated = True
                    continue
                changed |= dict.fromkeys(memories, user)
                if is_behind:
                    still_behind.append(user)
            behind = still_behind
        return changed

    def _refresh(self, shard: Collection, changed: Mapping[str, KeptUser]) -> None:
        if not changed:
            return
        records = shard.get(ids=list(changed), include=WHOLE)
        users = {id(user): user for user in changed.values()}
        self._note_shown(shard, users.values())
        for user in users.values():
            mine = [one for one, whose in changed.items() if whose is user]
            user.replace(mine, records)
            self._account_for(shard, user)


def _fields(shard: Collection, ids: Sequence[str]) -> dict[str, Fields]:
    records = shard.get(ids=ids, include=("metadatas",))
    return dict(zip(records.ids, records.metadatas, strict=True))
