"""A socket that waits for its client, but not for one that is too slow."""

import errno
import select
import socket
from typing import TYPE_CHECKING

from memapp.pace import Pace

if TYPE_CHECKING:
    from socket import _SendableFile

    from _typeshed import ReadableBuffer

_KEPT = 1024 * 1024
"""Bytes of an answer that are kept for a client that reads slowly; a thread waits with the rest."""

_FIRST = 16 * 1024
"""Bytes that nearly all requests have less of; to get memory for more takes longer."""

_BLOCK = 64 * 1024


class ClientSocket(socket.socket):
    """The connection of one client.

    Attributes:
        unsent: What `sendall` took and has not sent. Whoever sent it sees to it that it goes on.
    """

    __slots__ = ("_incoming", "_outgoing", "unsent")

    def __init__(self, former: socket.socket) -> None:
        """Take over a connection from a plain socket."""
        family, kind, protocol = former.family, former.type, former.proto
        super().__init__(family, kind, protocol, fileno=former.detach())
        self.settimeout(0)
        self.unsent = bytearray()
        self._incoming: Pace | None = None
        self._outgoing: Pace | None = None

    def has_received(self) -> bool:
        """Tell whether reading would not wait."""
        try:
            super().recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def begin_request(self, received: bytes) -> bytes:
        """Return what there is of the next request, of which something may have been received."""
        self._incoming = None
        if received:
            return received
        try:
            return super().recv(_FIRST, socket.MSG_DONTWAIT)
        except OSError:
            return b""

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Receive something.

        Raises:
            TimeoutError: the client is too slow.
        """
        while True:
            try:
                data = super().recv(bufsize, flags | socket.MSG_DONTWAIT)
            except BlockingIOError:
                if flags & socket.MSG_DONTWAIT or self.gettimeout() == 0:
                    raise
                self._send_until(unsent=0)
                self._incoming = self._incoming or Pace()
                if not self._waited_for(select.POLLIN, self._incoming):
                    raise TimeoutError(errno.ETIMEDOUT, "the client sends too slowly") from None
            else:
                if self._incoming is not None:
                    self._incoming.move(len(data))
                return data

    def send(self, data: "ReadableBuffer", flags: int = 0, /) -> int:
        """Send as `sendall` does."""
        self.sendall(data, flags)
        return memoryview(data).nbytes

    def sendall(self, data: "ReadableBuffer", flags: int = 0, /) -> None:
        """Send what can be sent without waiting, and keep the rest.

        Raises:
            BrokenPipeError: there is too much to keep, and the client reads too slowly.
        """
        sent = 0 if self.unsent else self._send_some(data, flags)
        view = memoryview(data)
        if sent == view.nbytes:
            return
        self.unsent += view.cast("B")[sent:]
        self.send_on()
        self._send_until(unsent=_KEPT)

    def send_on(self) -> float:
        """Send more of what is unsent; return when the client is too slow if it reads no more."""
        sent = self._send_some(self.unsent)
        del self.unsent[:sent]
        pace = self._outgoing or Pace()
        pace.move(sent)
        self._outgoing = pace if self.unsent else None
        return pace.deadline

    def sendfile(self, file: "_SendableFile", offset: int = 0, count: int | None = None) -> int:
        """Send a part of a file, in its turn after what is unsent."""
        file.seek(offset)
        sent = 0
        while block := file.read(_BLOCK if count is None else min(_BLOCK, count - sent)):
            self.sendall(block)
            sent += len(block)
        return sent

    def _send_until(self, *, unsent: int) -> None:
        while len(self.unsent) > unsent:
            pace = self._outgoing = self._outgoing or Pace()
            if not self._waited_for(select.POLLOUT, pace):
                raise BrokenPipeError(errno.EPIPE, "the client reads too slowly")
            self.send_on()

    def _send_some(self, data: "ReadableBuffer", flags: int = 0) -> int:
        try:
            return super().send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _waited_for(self, event: int, pace: Pace) -> bool:
        """Wait for what the client does next; tell whether it did it in time."""
        seconds = pace.seconds_left()
        events = select.poll()
        events.register(self, event)
        return seconds > 0 and bool(events.poll(1000 * seconds))
