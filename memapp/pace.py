"""How slowly a client may send a request or read an answer before memapp gives it up."""

import time

_PATIENCE_SECONDS = 20.0
"""How long a client may take to begin with, and how long it may pause."""

_LEAST_RATE = 500
"""Bytes that give a client a second more; as `MinRate` of Apache's mod_reqtimeout has it."""


class Pace:
    """The progress of one request, or of one answer, and how long it may go on like that."""

    __slots__ = ("_begun", "_count", "_moved")

    def __init__(self) -> None:
        """Begin now."""
        self._begun = self._moved = time.monotonic()
        self._count = 0

    def move(self, count: int) -> None:
        """Take note of so many further bytes."""
        if count:
            self._moved = time.monotonic()
            self._count += count

    @property
    def deadline(self) -> float:
        """When the client is too slow if it does no more, by `time.monotonic()`."""
        slowest = self._begun + self._count / _LEAST_RATE
        return min(slowest, self._moved) + _PATIENCE_SECONDS

    def seconds_left(self) -> float:
        """Return how long it is until then; below 0 if it is past."""
        return self.deadline - time.monotonic()
