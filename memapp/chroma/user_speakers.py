"""Tell which words of a query are names of speakers, for users who are not kept.

To look for a query's words among a user's speakers is a read by id, half as dear as the search. So
who is asked for again and again has all speakers read at once, and these are believed while the
counts of writes (see `write_marks`) say that nobody has written to the user. A speaker whom others
bring in, who write without counting, may be taken for any other word for `TRUSTED_SECONDS`.
"""

import time
from collections.abc import Iterable
from typing import NamedTuple

from memapp.chroma import memory_layout as layout
from memapp.chroma.collection import Collection
from memapp.chroma.kept_values import Kept
from memapp.chroma.user_cache import TRUSTED_SECONDS
from memapp.chroma.write_marks import WriteMarks

READ_AT = 4
"""The search at which all speakers are read: with 10,000 memories that costs as much as three reads
by id."""

_MOST_BYTES = 2**20
_BYTES, _BYTES_PER_SPEAKER = 500, 150


class _Speakers(NamedTuple):
    """What is known of the speakers of a user.

    Attributes:
        shard: Identity of the collection.
        ended: Writes that had ended before anything was read.
        at: When it began to be read, by the monotonic clock.
        asked: How many searches have asked since.
        ids: Of their records, once all were read.
    """

    shard: str
    ended: int
    at: float
    asked: int = 0
    ids: frozenset[str] | None = None

    def are_believed(self, shard: str, ended: int, now: float) -> bool:
        return (self.shard, self.ended) == (shard, ended) and now - self.at < TRUSTED_SECONDS


class UserSpeakers:
    """The speakers of users who are not kept; safe for many threads."""

    def __init__(self, marks: WriteMarks | None) -> None:
        """Know of nobody.

        Args:
            marks: Counts of all writes, where all that write share them; None believes nothing.
        """
        self._marks = marks
        self._known: Kept[tuple[str, str], _Speakers] = Kept(_MOST_BYTES, _size)

    def among(self, names: Iterable[str], shard: Collection, user_id: str) -> set[str]:
        """Return those of `names` (lower case) that are or were speakers of a user's memories."""
        all_ids = self._all_of(shard, user_id)
        if all_ids is not None and not all_ids:
            return set()  # And the names need not be looked at.
        ids = {layout.speaker_id(user_id, name): name for name in names}
        if all_ids is not None:
            found = all_ids.intersection(ids)
        else:
            found = frozenset(shard.get(ids=list(ids)).ids) if ids else frozenset()
        return {ids[one] for one in found}

    def _all_of(self, shard: Collection, user_id: str) -> frozenset[str] | None:
        """Return the ids of all speakers of a user, if it is worth it to know them; else None."""
        if self._marks is None:
            return None
        key = (shard.name, user_id)
        ended, now = self._marks.ended(key), time.monotonic()
        known = self._known.find([key]).get(key)
        if known is None or not known.are_believed(shard.identity, ended, now):
            known = _Speakers(shard.identity, ended, now)
        if known.ids is None:
            known = known._replace(asked=known.asked + 1)
            if known.asked >= READ_AT:
                found = shard.get(where=layout.speakers_of(user_id)).ids
                known = known._replace(ended=ended, at=now, ids=frozenset(found))
            self._known.keep({key: known})
        return known.ids


def _size(speakers: _Speakers) -> int:
    return _BYTES + _BYTES_PER_SPEAKER * len(speakers.ids or ())
