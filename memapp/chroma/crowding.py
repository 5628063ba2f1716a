"""Remember whose memories have their shard nearly to themselves.

Chroma spends twice to ten times as long on a query with a filter as on one without: 3.6 ms instead
of 1.8 for the ten nearest of 400, more for a larger user. Where nearly all of a shard is one
user's, the nearest of all are that user's nearest, perhaps with a few strangers among them. Each
record that is asked for in vain costs too: 14 of 2,000 took 3.3 ms, ten 3.0.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

STRANGERS = 4
"""How many records of others may be nearer, where a query is tried without a filter."""

_IN_A_ROW = 64
"""A query that was not enough is paid back after so many that were better for it."""

_REMEMBERED = 4_096


@dataclass(slots=True)
class _Scope:
    """What is known of a scope.

    Attributes:
        left: How many more of its queries are filtered.
        alone: How many of its queries in a row found no stranger.
    """

    left: int = 0
    alone: int = 0


class Crowding:
    """Which scopes were found to be crowded; safe for many threads."""

    def __init__(self) -> None:
        """Take a scope to have few strangers until it, or another of its shard, has many."""
        self._scopes: OrderedDict[tuple[str, ...], _Scope] = OrderedDict()
        self._crowded_shards: set[str] = set()
        self._lock = Lock()

    def strangers(self, scope: tuple[str, ...]) -> int | None:
        """Return how many records of others a query for a scope should leave room for.

        None if it should be filtered; it counts as one such query.

        Args:
            scope: Beginning with the name of its shard.
        """
        with self._lock:
            known = self._known(scope)
            if known.left:
                known.left -= 1
                return None
            return 0 if known.alone >= _IN_A_ROW else STRANGERS

    def note(self, scope: tuple[str, ...], strangers: int) -> None:
        """Note how many strangers a query without a filter found among a scope's nearest."""
        with self._lock:
            known = self._known(scope)
            known.alone = 0 if strangers else known.alone + 1

    def note_too_many(self, scope: tuple[str, ...], room: int) -> None:
        """Note that there were more than a query without a filter had room for."""
        with self._lock:
            known = self._known(scope)
            known.alone = 0
            if room == STRANGERS:
                self._crowded_shards.add(scope[0])
                known.left = _IN_A_ROW

    def _known(self, scope: tuple[str, ...]) -> _Scope:
        known = self._scopes.get(scope)
        if known is None:
            known = _Scope(_IN_A_ROW if scope[0] in self._crowded_shards else 0)
            self._scopes[scope] = known
            if len(self._scopes) > _REMEMBERED:
                self._scopes.popitem(last=False)
        self._scopes.move_to_end(scope)
        return known
