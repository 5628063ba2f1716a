"""Hold what must not cross a fork: one value per process, made when it is first needed."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that each process makes for itself, once, however many threads ask for it.

    A value inherited through a fork is never used, and never destroyed on purpose: a lock inside
    it may be held by a thread that the child does not have. Its memory stays shared with the
    parent. The same holds for the lock in here; hence one per process.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """Remember how the value is made; `make` may raise, and is then called again."""
        self._make = make
        self._slots: dict[int, _Slot[T]] = {}

    def get(self) -> T:
        """Return this process's value, making it if there is none yet."""
        pid = os.getpid()
        # `setdefault` of a dict is atomic, so that all threads get the same slot.
        slot = self._slots.get(pid) or self._slots.setdefault(pid, _Slot())
        if not slot.is_filled:
            with slot.lock:
                if not slot.is_filled:
                    slot.value = self._make()
                    slot.is_filled = True
        return slot.value


class _Slot(Generic[T]):
    value: T

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_filled = False
