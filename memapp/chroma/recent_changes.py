"""What a process has just written, for those that keep users and are in its reach.

Who keeps a user learns from Chroma that a writer has made a further change (see `change_log`), and
mostly that writer is in the same process or leads its errands. It can then take the change from the
writer instead of reading log and memories in Chroma, which is the greater part of what an addition
costs four workers that keep its user. A writer's name and a number stand for one change for ever,
so what is taken is what Chroma has under them.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from memapp.chroma.collection import Records

MOST_MEMORIES = 1_000
"""So many are remembered, of all users together; about 3 kB each."""

MOST_OF_A_USER = 100
"""So many changes of one user by one writer; who is further behind reads from Chroma."""


class Behind(NamedTuple):
    """Who knows a writer's changes of a user up to a number asks for those that follow."""

    writer: str
    user_id: str
    number: int


@dataclass(frozen=True, slots=True)
class RecentChange:
    """A change that consists of new memories, as it was acknowledged.

    Attributes:
        number: The writer's.
        token: Of its record in the log.
        memories: As Chroma has them, with metadata, documents and vectors.
    """

    number: int
    token: str
    memories: Records


class RecentChanges:
    """The last changes by this process; safe for many threads."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._lock = Lock()
        self._held: OrderedDict[tuple[str, str], list[RecentChange]] = OrderedDict()
        self._memories = 0

    def note(self, writer: str, user_id: str, change: RecentChange) -> None:
        """Remember the last change of a user that has been acknowledged."""
        key = (writer, user_id)
        with self._lock:
            held = self._held.pop(key, [])
            self._held[key] = [*held[1 - MOST_OF_A_USER :], change]
            self._memories += _count(self._held[key]) - _count(held)
            while self._memories > MOST_MEMORIES:
                self._memories -= _count(self._held.popitem(last=False)[1])

    def forget(self, writer: str, user_id: str) -> None:
        """Note a change that cannot be told: those before it are of no use either."""
        with self._lock:
            self._memories -= _count(self._held.pop((writer, user_id), []))

    def after(self, behind: Behind) -> Sequence[RecentChange]:
        """Return all changes that follow, in order; nothing if that cannot be told."""
        writer, user_id, number = behind
        with self._lock:
            held = self._held.get((writer, user_id), [])
        following = [change for change in held if change.number > number]
        return following if following and following[0].number == number + 1 else []


def _count(changes: Sequence[RecentChange]) -> int:
    return sum(len(change.memories.ids) for change in changes)
