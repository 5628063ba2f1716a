"""Let the workers of one gunicorn believe what they know of a shard, while they alone write to it.

To learn from Chroma at every search that nothing has changed costs more than the search. What the
workers of one gunicorn, a family, write themselves they count in memory that they share (see
`write_marks`); only others could change something without their knowledge. So a family takes a
lease on a shard, as an entry in its roster (see `roster`). As long as it is the last entry, nobody
else has acknowledged a write since it was made: what a check in Chroma has shown of a user since
then is believed. That it is the last is believed for `LEASE` seconds from the beginning of a check
that saw it.

Whoever else writes to the shard keeps to this, before it acknowledges a write or deletes what it
has announced: it looks, after the write, at the end of the roster, and if a lease of others is the
last entry, it makes an entry behind it. If there is a lease of others that it has not seen end
before, it waits for `WAITED` seconds. Thus whoever saw the lease as the last entry began to look
more than `LEASE` seconds before the acknowledgement, and believes it no longer. A lease that is
made after the writer has looked is made after the write, and so is every check under it: these see
the write, or its announcement.

That is the lease of Gray and Cheriton ("Leases: an efficient fault-tolerant mechanism for
distributed file cache consistency", SOSP 1989), and has its condition: clocks of hosts that run
about equally fast. They need not agree. A host that stands still as a whole, its clock included,
may answer from what it knew for the rest of `LEASE` when it goes on.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from threading import Lock
from typing import Any

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.roster import Entry, Roster, Write, entry_of, make_entry, read_roster
from memapp.errors import StoreBroken

LEASE = 0.25
"""Seconds for which it is believed that a lease is the last entry."""

WAITED = 0.3
"""Seconds that others wait; longer than `LEASE`, should their clocks run faster."""

QUIET = 1.0
"""Seconds without a further entry after which a lease is taken."""

OVERTAKEN = 10.0
"""Seconds without a further entry after which others, who may be gone, are taken for gone."""

BACK_OFF = 600.0
"""Seconds for which no lease is taken where others write, too."""


class FamilyLease:
    """What a process knows of its family's lease on one shard; safe for many threads."""

    def __init__(self, family: str) -> None:
        """Know of none; an empty `family` never has one."""
        self._family = family
        self._lock = Lock()
        self._known = _Known()

    @property
    def number(self) -> int:
        """Number of the roster's last entry, if that is known to be the family's lease; else 0."""
        return self._known.number

    def learn(self, roster: Roster, shard: str) -> None:
        """Note the roster as it was just read, of the collection with this identity."""
        last = max(roster, default=0)
        with self._lock:
            known = self._known if self._known.shard == shard else _Known(shard)
            if not self._family or last <= known.last:
                return
            taken_from = time.monotonic() + self._pause(roster, known.number)
            self._known = _Known(
                shard,
                last,
                last if self._is_ours(roster[last]) else 0,
                -inf,
                max(taken_from, known.taken_from),
            )

    def note(self, number: int, at: float) -> None:
        """Note that an entry was seen to be the last one by a check that began at `at`."""
        with self._lock:
            if number > 0 and self._known.number == number:
                seen_at = max(at, self._known.seen_at)
                self._known = replace(self._known, seen_at=seen_at)

    def is_believed(self, number: int) -> bool:
        """Tell whether an entry is the family's lease, and was the last one a moment ago."""
        known = self._known
        return 0 < known.number == number and time.monotonic() - known.seen_at < LEASE

    def is_due(self) -> bool:
        """Tell whether it is time to take one; to one thread only, until the roster has changed."""
        with self._lock:
            known = self._known
            if not known.last or known.number or time.monotonic() < known.taken_from:
                return False
            self._known = replace(known, taken_from=time.monotonic() + OVERTAKEN)
        return True

    def _is_ours(self, entry: Entry) -> bool:
        return entry.role == "lease" and entry.family == self._family

    def _pause(self, roster: Roster, held: int) -> float:
        """Return for how long no lease is taken, as the last entry was made just now."""
        has_strangers = any(
            entry.family != self._family for number, entry in roster.items() if number > held > 0
        )
        if has_strangers or any(entry.role == "end" for entry in roster.values()):
            return BACK_OFF
        return OVERTAKEN if roster[max(roster)].role == "lease" else QUIET


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a roster.

    Attributes:
        shard: Identity of the collection whose roster it is.
        last: Number of the last entry; 0 before any is known.
        number: The same if that is a lease of the family; else 0.
        seen_at: When the last check began that saw it so, by the monotonic clock.
        taken_from: From when on a lease may be taken, by the monotonic clock.
    """

    shard: str = ""
    last: int = 0
    number: int = 0
    seen_at: float = -inf
    taken_from: float = 0.0


def take_lease(shard: Collection, entry: Entry, write: Write) -> Roster:
    """Make an entry that is a lease, unless the last one is such for the same family.

    Returns:
        The roster as it was read then.
    """
    roster: Roster = read_roster(shard)
    last = roster.get(max(roster, default=0))
    if last is not None and (last.role, last.family) == (entry.role, entry.family):
        return roster
    return make_entry(shard, entry, write) or roster


class OthersLeases:
    """What a writer must know of others' leases on one shard; used by one thread at a time."""

    def __init__(self, family: str) -> None:
        """Know of none.

        Args:
            family: Whose leases are not those of others; empty for none.
        """
        self._family = family
        self._waited_out = 0
        self._last = 0
        self._entry: Entry | None = None

    @property
    def ids_at_end(self) -> tuple[str, str]:
        """The ids of the last entry that is known, and of the one that would follow."""
        return layout.roster_id(self._last), layout.roster_id(self._last + 1)

    def is_end_known(self, found: Mapping[str, Mapping[str, Any]]) -> bool:
        """Tell whether the roster is as it was.

        Args:
            found: Metadata of those of `ids_at_end` that are there, by id.
        """
        last, following = self.ids_at_end
        return last in found and entry_of(found[last]) == self._entry and following not in found

    def respect(self, shard: Collection, roster: Roster, end: Entry, write: Write) -> None:
        """See that no check is believed any more that began before the roster was read.

        Args:
            shard: Where.
            roster: As it was read after what others must see was written.
            end: What ends a lease.
            write: Adds records.

        Raises:
            StoreBroken: others make entries all the time.
        """
        is_gap = roster.get(self._last) != self._entry
        is_gap |= not self._last and min(roster, default=1) > 1
        if is_gap:
            # There were entries that nobody knows any more, leases perhaps; or it is another shard.
            self._waited_out = 0
        left = [
            number
            for number, entry in roster.items()
            if number > self._waited_out and entry.role == "lease" and entry.family != self._family
        ]
        last = max(roster, default=0)
        if last in left and make_entry(shard, end, write) is None:
            message = f"too many processes write to {shard.name} at once"
            raise StoreBroken(message)
        if left or is_gap:
            time.sleep(WAITED)
        # Those that were made since see what was written; the next write ends and waits them out.
        self._waited_out = max([self._waited_out, *left])
        self._last, self._entry = last, roster.get(last)
