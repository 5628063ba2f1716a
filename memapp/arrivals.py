"""Tell how much of a request has come, without waiting for the rest.

A request is looked at before a thread gets it, so that no thread waits for what never comes.
Nothing is refused here: whatever cannot be told is left to who reads the request.
"""

import re

from memapp.pace import Pace

_AWAITED = 64 * 1024
"""Bytes of a request that is awaited whole; nobody has asked for a key yet."""

_LONGEST_LINE = 8192
"""gunicorn refuses a longer first line."""

_START = re.compile(rb"[!-~]+ [!-~\x80-\xff]+ HTTP/1\.[0-9]\r\n")
_FRAMING = re.compile(
    rb"\r\n(?:content-length:[ \t]*([0-9]+)[ \t]*(?=\r\n)|transfer-encoding:|expect:)", re.I
)


class Arrival:
    """What has come of one request.

    Attributes:
        received: All of it, and what came after it.
        pace: How fast it comes.
        is_long: Whether it can only be read while it comes: its body is large or of unknown length,
            or the client waits for an answer before it sends it (RFC 9110, section 10.1.1).
        has_large_head: Whether its head is larger than what is awaited; it is to be refused, for to
            read that while it comes would take a thread, and nobody has asked for a key yet.
    """

    def __init__(self, received: bytes) -> None:
        """Begin with what was received first."""
        self.received = bytearray()
        self.pace = Pace()
        self.is_long = False
        self.has_large_head = False
        self._length: int | None = None
        self.add(received)

    @property
    def is_awaited(self) -> bool:
        """Whether it should come further before anybody reads it."""
        return not self.is_long and (self._length is None or len(self.received) < self._length)

    def add(self, received: bytes) -> None:
        """Take note of what came next."""
        searched = max(0, len(self.received) - 3)
        self.received += received
        self.pace.move(len(received))
        if self._length is None:
            self._look_at_head(searched)

    def _look_at_head(self, searched: int) -> None:
        received = self.received
        start = 2 if received.startswith(b"\r\n") else 0  # RFC 9112, section 2.2
        end = received.find(b"\r\n\r\n", max(searched, start))
        self.has_large_head = (len(received) if end < 0 else end) > _AWAITED
        if end < 0:
            self.is_long = self.has_large_head or self._has_no_start(start)
            return
        length, is_open = 0, False
        for digits in _FRAMING.findall(received, start, end + 2):
            length = max(length, int(digits.lstrip(b"0")[:18] or b"0"))
            is_open = is_open or not digits
        self._length = end + 4 + length
        self.is_long = is_open or self.has_large_head or self._length > max(_AWAITED, end + 4)

    def _has_no_start(self, start: int) -> bool:
        """Tell whether it is to be refused for its first line, without waiting for the others."""
        if self.received.find(b"\r\n", start, start + _LONGEST_LINE) < 0:
            return len(self.received) > start + _LONGEST_LINE
        return not _START.match(self.received, start)
