"""The roster of a shard: who began to write to it, and when leases on it began and ended.

A reader that knows how many there were asks by id for the next, `r.<n + 1>`, instead of asking who
holds which slot. That is safe because the entries have no gaps: a writer makes its own, after it
has taken its slot and before its first change, and only behind the last one there is. Whoever
reads first the roster and then the slots thus knows all writers up to the last entry.

Beginning and end of a lease (see `leases`) are entries too, so that who asks whether there is a
further entry also learns of these.

Old entries are removed. A reader for which the last one it knows is gone has missed some.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.faults import OutcomeUnknown
from memapp.errors import StoreUnavailable

KEPT = 8
"""Entries that stay."""

_ATTEMPTS = 16

Write = Callable[[str, Mapping[str, Any]], None]
"""Adds a record by id and metadata."""


Role = Literal["writer", "lease", "end"]
"""What an entry is for: a process that begins to write, the beginning of a lease, or its end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        name: That no other has.
        family: Of the process that made it; empty if it has none.
        role: What it is for.
    """

    name: str
    family: str = ""
    role: Role = "writer"


Roster = Mapping[int, Entry]
"""The entries that are there, by number."""


def read_roster(shard: Collection) -> dict[int, Entry]:
    """Return the entries that are there."""
    found = shard.get(where={"kind": "roster"}, include=("metadatas",))
    return {int(fields["number"]): entry_of(fields) for fields in found.metadatas}


def entry_of(fields: Mapping[str, Any]) -> Entry:
    """Return the entry that a record's metadata says."""
    return Entry(fields["writer"], fields.get("family", ""), fields.get("role", "writer"))


def make_entry(shard: Collection, entry: Entry, write: Write) -> Roster | None:
    """Make an entry behind the last one; None if others are always faster.

    Returns:
        The roster as it was read afterwards.
    """
    for _ in range(_ATTEMPTS):
        before = read_roster(shard)
        number = max(before, default=0) + 1
        fields = {
            "kind": "roster",
            "number": number,
            "writer": entry.name,
            "family": entry.family,
            "role": entry.role,
        }
        with suppress(OutcomeUnknown):
            write(layout.roster_id(number), fields)
        after = read_roster(shard)
        if is_entered(entry, number, before, after):
            remove_old_entries(shard, after)
            return after
    return None


def is_entered(entry: Entry, number: int, before: Roster, after: Roster) -> bool:
    """Tell whether an entry stands behind what was the last one before.

    It may have come late, when those before it had been removed long since: then no reader looks
    for it.

    Args:
        entry: What was to be entered.
        number: Its number.
        before: The roster that the number was chosen by.
        after: The roster since.
    """
    if after.get(number) != entry:
        return False
    if number == 1:
        return max(after) <= KEPT
    return after.get(number - 1) == before[number - 1]


def remove_old_entries(shard: Collection, roster: Roster) -> None:
    """Remove all but the last entries; what cannot be removed now is removed the next time."""
    old = [layout.roster_id(number) for number in roster if number <= max(roster) - KEPT]
    with suppress(StoreUnavailable):
        shard.delete(old)
