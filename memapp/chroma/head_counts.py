"""Guess how many documents a knowledge base has, to choose the cheaper way to look at their heads.

A guess decides nothing but that: both ways tell what is current now.
"""

import time

from memapp.chroma.collection import Collection

_SECONDS = 60.0
_REMEMBERED = 1_000


class HeadCounts:
    """How many heads collections had lately; safe for many threads.

    Every step is one operation of a dictionary, so threads can only count once more.
    """

    def __init__(self) -> None:
        """Know of no collection yet."""
        self._counted: dict[str, tuple[float, int]] = {}

    def guess(self, heads: Collection) -> int:
        """Return how many heads there were at most a minute ago."""
        known = self._counted.get(heads.name)
        now = time.monotonic()
        if known is not None and now - known[0] < _SECONDS:
            return known[1]
        if len(self._counted) >= _REMEMBERED:
            self._counted.clear()
        count = heads.count()
        self._counted[heads.name] = (now, count)
        return count
