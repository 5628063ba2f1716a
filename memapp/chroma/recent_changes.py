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

MOST_BYTES = 4_000_000
"""So much is remembered, of all users together; a short memory takes 4 kB."""

MOST_OF_A_USER = 100
"""So many changes of one user by one writer; who is further behind reads from Chroma."""

_OVERHEAD = 2_000
"""Bytes of a memory's metadata, roughly."""


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

    @property
    def size(self) -> int:
        """Bytes it takes, roughly."""
        texts = sum(map(len, self.memories.documents))
        vectors = 0 if self.memories.vectors is None else self.memories.vectors.nbytes
        return texts + vectors + _OVERHEAD * len(self.memories.ids)


class RecentChanges:
    """The last changes by this process; safe for many threads."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._lock = Lock()
        self._held: OrderedDict[tuple[str, str], list[RecentChange]] = OrderedDict()
        self._size = 0

    def note(self, writer: str, user_id: str, change: RecentChange) -> None:
        """Remember the last change of a user that has been acknowledged."""
        key = (writer, user_id)
        with self._lock:
            held = self._held.pop(key, [])
            self._size -= _size(held)
            if change.size > MOST_BYTES // 4:
                return
            self._held[key] = [*held[1 - MOST_OF_A_USER :], change]
            self._size += _size(self._held[key])
            while self._size > MOST_BYTES:
                self._size -= _size(self._held.popitem(last=False)[1])

    def forget(self, writer: str, user_id: str) -> None:
        """Note a change that cannot be told: those before it are of no use either."""
        with self._lock:
            self._size -= _size(self._held.pop((writer, user_id), []))

    def after(self, behind: Behind) -> Sequence[RecentChange]:
        """Return those that follow and have been acknowledged, in order; nothing if unknown."""
        writer, user_id, number = behind
        with self._lock:
            held = self._held.get((writer, user_id), [])
        following = [change for change in held if change.number > number]
        return following if following and following[0].number == number + 1 else []


def _size(changes: Sequence[RecentChange]) -> int:
    return sum(change.size for change in changes)
