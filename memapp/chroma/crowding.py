"""Remember whose memories have their shard nearly to themselves.

Chroma spends twice to ten times as long on a query with a filter as on one without: 3.6 ms instead
of 1.8 for the ten nearest of 400, more for a larger user. Where nearly all of a shard is one
user's, the nearest of all are that user's nearest.
"""

from collections import OrderedDict
from threading import Lock

_FILTERED_IN_A_ROW = 64
"""A query without a filter that was not enough is paid back after so many with one."""

_REMEMBERED = 4_096


class Crowding:
    """Which scopes were found to be crowded; safe for many threads."""

    def __init__(self) -> None:
        """Take a scope to be alone until it, or another of its shard, is found not to be."""
        self._left: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._crowded_shards: set[str] = set()
        self._lock = Lock()

    def is_crowded(self, scope: tuple[str, ...]) -> bool:
        """Tell whether a query for a scope should be filtered; it counts as one such query.

        Args:
            scope: Beginning with the name of its shard.
        """
        with self._lock:
            at_first = _FILTERED_IN_A_ROW if scope[0] in self._crowded_shards else 0
            left = self._left.get(scope, at_first)
            if left == 0:
                return False
            self._remember(scope, left - 1)
            return True

    def note(self, scope: tuple[str, ...]) -> None:
        """Note that a query without a filter found too little of a scope."""
        with self._lock:
            self._crowded_shards.add(scope[0])
            self._remember(scope, _FILTERED_IN_A_ROW)

    def _remember(self, scope: tuple[str, ...], left: int) -> None:
        self._left[scope] = left
        self._left.move_to_end(scope)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
