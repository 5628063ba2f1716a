"""The roster of a shard: one record for each time that a process began to write to it.

A reader that knows how many there were asks by id for the next, `r.<n + 1>`, instead of asking who
holds which slot. That is safe because the entries have no gaps: a writer makes its own, after it
has taken its slot and before its first change, and only behind the last one there is. Whoever
reads first the roster and then the slots thus knows all writers up to the last entry.

Old entries are removed. A reader for which the last one it knows is gone has missed some.
"""

from contextlib import suppress

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.errors import StoreUnavailable

KEPT = 8
"""Entries that stay."""


def latest_entry(shard: Collection) -> int:
    """Return the number of the last entry; 0 if there is none."""
    return max(read_roster(shard), default=0)


def read_roster(shard: Collection) -> dict[int, str]:
    """Return the writers' names by the numbers of their entries."""
    found = shard.get(where={"kind": "roster"}, include=("metadatas",))
    return {int(fields["number"]): str(fields["writer"]) for fields in found.metadatas}


def is_entered(name: str, number: int, before: dict[int, str], after: dict[int, str]) -> bool:
    """Tell whether a writer's entry stands behind what was the last one before.

    It may have come late, when those before it had been removed long since: then no reader looks
    for it.

    Args:
        name: Of the writer.
        number: Of its entry.
        before: The roster that the number was chosen by.
        after: The roster since.
    """
    if after.get(number) != name:
        return False
    if number == 1:
        return max(after) <= KEPT
    return after.get(number - 1) == before[number - 1]


def remove_old_entries(shard: Collection, roster: dict[int, str]) -> None:
    """Remove all but the last entries; what cannot be removed now is removed the next time."""
    old = [layout.roster_id(number) for number in roster if number <= max(roster) - KEPT]
    with suppress(StoreUnavailable):
        shard.delete(old)
