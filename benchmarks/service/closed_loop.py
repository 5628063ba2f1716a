"""Drive an HTTP service with a fixed number of clients, each with one request at a time.

One thread serves all clients, requests are written down beforehand, and answers are read only as
far as needed to know their status and their end, so that the generator takes little of what it
measures; `null_server` tells how little.
"""

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

PATIENCE = 120.0
"""Seconds after the end of a turn in which the last answers must have come."""

_RECEIVE = 262_144


@dataclass(slots=True)
class ClientLog:
    """What one client saw.

    Attributes:
        latencies: Seconds that each request took, in order.
        seconds: From the first request to the last answer.
        failures: Requests that were not answered with success.
        first_failure: The first of these answers, shortened.
    """

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    failures: int = 0
    first_failure: str = ""


def drive(
    address: tuple[str, int], requests: Sequence[Sequence[bytes]], seconds: float
) -> list[ClientLog]:
    """Let clients send their requests until the time is over or a client has no more.

    Args:
        address: Where the service listens.
        requests: Whole HTTP/1.1 requests of each client, in order.
        seconds: No request begins later; those under way are finished.

    Returns:
        One log per client.

    Raises:
        TimeoutError: answers are still missing `PATIENCE` seconds after the end.
    """
    clients = [_Client(address, own) for own in requests if own]
    until = time.perf_counter() + seconds
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.connect()
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send_next()
        waiting = len(clients)
        while waiting:
            ready = selector.select(timeout=PATIENCE)
            if not ready or time.perf_counter() > until + PATIENCE:
                message = f"{waiting} of {len(clients)} clients still wait for an answer"
                raise TimeoutError(message)
            for key, _ in ready:
                client = key.data
                if not client.receive():
                    continue
                if client.has_more and time.perf_counter() < until:
                    if client.must_reconnect:
                        selector.unregister(client.socket)
                        client.connect()
                        selector.register(client.socket, selectors.EVENT_READ, client)
                    client.send_next()
                else:
                    selector.unregister(client.socket)
                    client.socket.close()
                    waiting -= 1
    return [client.log for client in clients]


class _Client:
    """One connection and what goes over it."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes]) -> None:
        self.log = ClientLog()
        self.socket: socket.socket
        self.must_reconnect = False
        self._address = address
        self._requests = requests
        self._next = 0
        self._answer = bytearray()
        self._end: int | None = None
        self._is_chunked = False
        self._began = self._sent = 0.0

    @property
    def has_more(self) -> bool:
        return self._next < len(self._requests)

    def connect(self) -> None:
        if self.must_reconnect:
            self.socket.close()
        self.socket = socket.create_connection(self._address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.must_reconnect = False

    def send_next(self) -> None:
        """Send a request; even a large one goes into the kernel's buffer or is being read."""
        self._sent = time.perf_counter()
        self._began = self._began or self._sent
        self.socket.sendall(self._requests[self._next])
        self._next += 1

    def receive(self) -> bool:
        """Take in what has come; return whether the answer is complete."""
        data = self.socket.recv(_RECEIVE)
        self._answer += data
        if not data:
            self._finish(is_success=False, detail="the connection was closed")
            self.must_reconnect = True
            return True
        if self._end is None and not self._read_head():
            return False
        if self._is_chunked:
            if not self._answer.endswith(b"0\r\n\r\n"):
                return False
        elif self._end is not None and len(self._answer) < self._end:
            return False
        status = int(self._answer[9:12])
        detail = "" if status < 400 else self._answer[:2000].decode(errors="replace")
        self._finish(is_success=status < 400, detail=detail)
        return True

    def _read_head(self) -> bool:
        end = self._answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._answer[:end]).lower()
        self._is_chunked = b"\r\ntransfer-encoding: chunked" in head
        start = head.find(b"\r\ncontent-length:")
        length = 0 if start < 0 else int(head[start + 17 :].split(b"\r\n", 1)[0])
        self._end = end + 4 + length
        self.must_reconnect = b"\r\nconnection: close" in head
        return True

    def _finish(self, *, is_success: bool, detail: str) -> None:
        now = time.perf_counter()
        self.log.latencies.append(now - self._sent)
        self.log.seconds = now - self._began
        if not is_success:
            self.log.failures += 1
            self.log.first_failure = self.log.first_failure or detail
        self._answer.clear()
        self._end = None
        self._is_chunked = False
