"""What a process has just written, for those that keep users and are in its reach.

Who keeps a user learns from Chroma that a writer has made a further change (see `change_log`), and
mostly that writer is in the same process or leads its errands. It can then take the change from the
writer instead of reading log and memories in Chroma, which is the greater part of what an addition
costs four workers that keep its user. A writer's name and a number stand for one change for ever,
so what is taken is what Chroma has under them.

Where all that write count their writes (see `write_marks`), it need not even ask Chroma: if each
write that has ended since it last looked is a change that the writer tells, these are all.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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


class Missed(NamedTuple):
    """Who knows some writers' changes of a user asks for what has ended since.

    Attributes:
        user_id: Whose memories.
        seen: By writer, the number of the last change that is known.
        after: How many writes had ended, all of them known.
        until: How many have ended now, none being under way.
    """

    user_id: str
    seen: Mapping[str, int]
    after: int
    until: int


@dataclass(frozen=True, slots=True)
class RecentChange:
    """A change that consists of new memories, as it was acknowledged.

    Attributes:
        writer: Who made it.
        number: The writer's.
        token: Of its record in the log.
        memories: As Chroma has them, with metadata, documents and vectors.
        end: Its place in the order in which writes to the user ended, by `write_marks`, from 1; 0
            before it has ended, or if nobody counts.
    """

    writer: str
    number: int
    token: str
    memories: Records
    end: int = 0

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

    def note(self, user_id: str, change: RecentChange) -> None:
        """Remember the last change of a user that has been acknowledged."""
        key = (change.writer, user_id)
        with self._lock:
            held = self._held.pop(key, [])
            self._size -= _size(held)
            if change.size > MOST_BYTES // 4:
                return
            self._held[key] = [*held[1 - MOST_OF_A_USER :], change]
            self._size += _size(self._held[key])
            while self._size > MOST_BYTES:
                self._size -= _size(self._held.popitem(last=False)[1])

    def note_ends(self, writer: str, ends: Mapping[str, int]) -> None:
        """Note the place of a writer's last change, by user, in the order of ending."""
        with self._lock:
            for user_id, end in ends.items():
                held = self._held.get((writer, user_id))
                if held and not held[-1].end:
                    held[-1] = replace(held[-1], end=end)

    def forget(self, writer: str, user_id: str) -> None:
        """Note a change that cannot be told: those before it are of no use either."""
        with self._lock:
            self._size -= _size(self._held.pop((writer, user_id), []))

    def tell(self, asked: Behind | Missed) -> Sequence[RecentChange] | None:
        """Return what was asked for, in order; None if it is not known."""
        return self._after(asked) if isinstance(asked, Behind) else self._missed(asked)

    def _after(self, behind: Behind) -> Sequence[RecentChange] | None:
        """Return those that follow and have been acknowledged; None if there are none."""
        writer, user_id, number = behind
        with self._lock:
            held = self._held.get((writer, user_id), [])
        following = [change for change in held if change.number > number]
        return following if following and following[0].number == number + 1 else None

    def _missed(self, missed: Missed) -> Sequence[RecentChange] | None:
        """Return those that follow of all that have ended; None if there were others, too."""
        told: list[RecentChange] = []
        ended: set[int] = set()
        for writer, number in missed.seen.items():
            with self._lock:
                held = list(self._held.get((writer, missed.user_id), ()))
            counted = [change for change in held if missed.after < change.end <= missed.until]
            ended.update(change.end for change in counted)
            following = [change for change in counted if change.number > number]
            if [change.number - number for change in following] != [*range(1, len(following) + 1)]:
                return None
            told += following
        return told if len(ended) == missed.until - missed.after else None


def _size(changes: Sequence[RecentChange]) -> int:
    return sum(change.size for change in changes)
