"""Decide which users a process keeps, within a number of bytes.

To read a large user costs as much as dozens of searches without the cache. So such a one is read
only after some searches; and where there is no room, nobody at the expense of others who were just
asked for: if more users are active than there is room for, some are kept and the others left to
Chroma, instead of all being read again and again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

LARGEST_SHARE = 4
"""One user may take a fourth of the cache."""

ACTIVE_SECONDS = 60.0
"""Whoever was asked for within this time is not dropped for others."""

_TOO_LARGE_FOR = 1_000
_NO_ROOM_FOR = 100
_STRANGERS_COUNTED = 4_096

Key = tuple[str, str]
"""A shard's name and a user."""


@dataclass(slots=True)
class _Kept:
    size: int
    drop: Callable[[], None]
    asked_at: float


class Budget:
    """How much this process keeps, and of whom; shared by the shards' caches, safe for threads."""

    def __init__(self, capacity: int, *, loads_at: int = 3) -> None:
        """Keep at most `capacity` bytes.

        Args:
            capacity: Bytes; 0 keeps nobody.
            loads_at: At which search a user is read whole who was too large for it at the first;
                the ones before go to Chroma.
        """
        self.largest = capacity // LARGEST_SHARE
        self.loads_at = loads_at
        self._capacity = capacity
        self._lock = Lock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._used = 0
        self._asked: OrderedDict[Key, int] = OrderedDict()
        self._loading: set[Key] = set()

    def count_search(self, key: Key) -> int:
        """Count a search for a user who is not kept.

        Returns:
            How many there were since the user was read, if it is worth a thought; else 0 or less.
        """
        if self._capacity == 0:
            return 0
        with self._lock:
            self._asked[key] = self._asked.get(key, 0) + 1
            self._asked.move_to_end(key)
            if len(self._asked) > _STRANGERS_COUNTED:
                self._asked.popitem(last=False)
            return self._asked[key]

    def may_load(self, key: Key) -> bool:
        """Tell whether nobody else is reading this user; then call `has_loaded` afterwards."""
        with self._lock:
            if key in self._loading:
                return False
            self._loading.add(key)
            return True

    def has_loaded(self, key: Key, *, counts_anew: bool) -> None:
        """End what `may_load` began.

        Args:
            key: Who it is.
            counts_anew: Count searches from the first again, unless the user was refused.
        """
        with self._lock:
            self._loading.discard(key)
            if counts_anew and self._asked.get(key, 0) > 0:
                del self._asked[key]

    def refuses(self, key: Key, size: float) -> bool:
        """Tell whether a user is not to be kept; then it is long before they are wanted again.

        Args:
            key: Who it is.
            size: Bytes that they take, as far as known.
        """
        is_too_large = size > self.largest
        with self._lock:
            if not is_too_large and self._has_room(key, size):
                return False
            self._asked[key] = -_TOO_LARGE_FOR if is_too_large else -_NO_ROOM_FOR
            return True

    def release(self, key: Key) -> None:
        """Account no longer for a user, of whom nothing is kept any more."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._used -= 0 if before is None else before.size

    def touch(self, key: Key) -> None:
        """Note that a user was asked for."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                kept.asked_at = time.monotonic()
                self._kept.move_to_end(key)

    def keep(self, key: Key, size: int, drop: Callable[[], None]) -> None:
        """Account for a user, and drop those asked for longest ago if it gets too much.

        Args:
            key: Who it is.
            size: Bytes that they take now.
            drop: What to call when they are to be kept no longer.
        """
        dropped: list[Callable[[], None]] = []
        with self._lock:
            before = self._kept.pop(key, None)
            self._used += size - (0 if before is None else before.size)
            self._kept[key] = _Kept(size, drop, time.monotonic())
            while self._used > self._capacity:
                _, other = self._kept.popitem(last=False)
                self._used -= other.size
                dropped.append(other.drop)
        for drop_other in dropped:
            drop_other()

    def _has_room(self, key: Key, size: float) -> bool:
        """Tell whether there is room without dropping anybody who is active."""
        idle_since = time.monotonic() - ACTIVE_SECONDS
        free = self._capacity - self._used
        for other, kept in self._kept.items():
            if other == key or kept.asked_at < idle_since:
                free += kept.size
        return free >= size
