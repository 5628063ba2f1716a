"""What Chroma's client sends its requests through, in place of its `httpx.Client`.

The client that Chroma brings spends 0.8 ms of processor time on a request, and this one 0.1 ms
(`httptools` is the parser of uvicorn): where most requests of memapp ask Chroma one thing, that is
the greater part of what a request costs. It also brings timeouts, of which Chroma's knows none.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools
import httpx

from memapp.backends.patience import ChromaSocket, Pulse, connect
from memapp.chroma_config import Patience

_IDLE_SECONDS = 40.0
"""How long an unused connection is kept: as Chroma's own client does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A success; what else comes is an `httpx.Response`, which Chroma's client knows to read."""

    status_code: int
    content: bytes

    @property
    def text(self) -> str:
        """The body."""
        return self.content.decode()

    def raise_for_status(self) -> None:
        """Do nothing: it is a success."""


class HttpSession:
    """Requests to one server over connections that are kept open; safe for many threads.

    Errors are those of `httpx`, which Chroma's own client raises as well.

    Attributes:
        headers: Sent with every request.
    """

    def __init__(self, api_url: str, headers: Mapping[str, str], patience: Patience) -> None:
        """Prepare to reach a server; connect to nothing.

        Args:
            api_url: What every URL begins with.
            headers: Sent with every request, but for what encoding may come back; ASCII, without
                line ends.
            patience: How long to wait.
        """
        parts = urlsplit(api_url)
        self.headers = httpx.Headers({"Host": parts.netloc, "Accept": "*/*"})
        self.headers.update(headers)
        self.headers["Accept-Encoding"] = "identity"  # A success is read as it comes.
        self._head = b"".join(b"%b: %b\r\n" % header for header in self.headers.raw)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._context = httpx.create_ssl_context() if parts.scheme == "https" else None
        self._heartbeat_url = f"{api_url}/heartbeat"
        self._patience = patience
        self._pulse = Pulse(self._ask_for_heartbeat)
        self._idle: deque[tuple[float, ChromaSocket]] = deque()
        self._open: set[ChromaSocket] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes = b"",
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Answer | httpx.Response:
        """Send a request and return its answer.

        Args:
            method: Of HTTP.
            url: Escaped; at our server.
            content: The body.
            params: The query.
            timeout: Seconds to wait for each part of the answer; by default, as `patience` says.

        Raises:
            httpx.TransportError: there is no whole answer.
        """
        target = url.removeprefix(self._origin)
        if params:
            target = f"{target}?{httpx.QueryParams(params)}"
        head = f"{method.upper()} {target} HTTP/1.1\r\nContent-Length: {len(content)}\r\n"
        message = b"".join((head.encode("ascii"), self._head, b"\r\n", content))
        reader = self._exchange(message, timeout or self._patience.read_timeout)
        status, body = reader.status, b"".join(reader.body)
        if httpx.codes.is_success(status):
            return Answer(status, body)
        asked = httpx.Request(method, url)
        return httpx.Response(status, headers=reader.headers, content=body, request=asked)

    def close(self) -> None:
        """Close all connections, those in use too."""
        with self._lock:
            self._is_closed = True
            closing, self._open = self._open, set()
            self._idle.clear()
        for connection in closing:
            connection.close()

    def _exchange(self, message: bytes, timeout: float) -> "_Reader":
        connection = self._take()
        try:
            connection.send(message)
            reader = _Reader()
            while not reader.is_complete:
                reader.read(connection.receive(timeout))
        except BaseException:
            self._drop(connection)
            raise
        if reader.may_go_on:
            self._give_back(connection)
        else:
            self._drop(connection)
        return reader

    def _take(self) -> ChromaSocket:
        """Return a connection that nobody else uses."""
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if time.monotonic() - since < _IDLE_SECONDS and connection.is_quiet():
                return connection
            self._drop(connection)

    def _give_back(self, connection: ChromaSocket) -> None:
        """Keep a connection for the next request, and no longer those that are too old."""
        now = time.monotonic()
        with suppress(IndexError):  # Others may have taken the oldest meanwhile.
            while now - self._idle[0][0] >= _IDLE_SECONDS:
                self._drop(self._idle.popleft()[1])
        self._idle.append((now, connection))

    def _connect(self) -> ChromaSocket:
        patience = self._patience
        connected = connect(self._host, self._port, patience.connect_timeout, self._context)
        connection = ChromaSocket(connected, patience.probe_timeout, self._pulse)
        with self._lock:
            if not self._is_closed:
                self._open.add(connection)
                return connection
        connection.close()
        message = "the client was closed"
        raise httpx.ReadError(message)

    def _drop(self, connection: ChromaSocket) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _ask_for_heartbeat(self) -> bool:
        # Never longer than a slice: the heartbeat itself must not wait in slices.
        short = min(self._patience.heartbeat_timeout, self._patience.probe_timeout)
        try:
            answer = self.request("get", self._heartbeat_url, timeout=short)
        except httpx.TransportError:
            return False
        return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR


@dataclass(slots=True)
class _Reader:
    """Put an answer together; the methods `on_...` are called by httptools."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    is_complete: bool = False
    may_go_on: bool = False
    _is_begun: bool = False
    _has_head: bool = False
    _parser: Any = None

    def __post_init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)

    def read(self, received: bytes) -> None:
        """Take in what has come.

        Raises:
            httpx.RemoteProtocolError: it is no answer of HTTP, or ended too early.
        """
        if not received:
            self._end()
            return
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserError as error:
            message = f"illegal answer: {error}"
            raise httpx.RemoteProtocolError(message) from error

    def on_message_begin(self) -> None:
        """Begin; anew, after an interim answer."""
        self._is_begun, self._has_head = True, False
        self.headers.clear()
        self.body.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note the status."""
        self.status = self._parser.get_status_code()
        self._has_head = True

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        self.body.append(part)

    def on_message_complete(self) -> None:
        """End, unless it is an interim answer: RFC 9110, section 15.2."""
        if not httpx.codes.is_informational(self.status):
            self.is_complete = True
            self.may_go_on = self._parser.should_keep_alive()

    def _end(self) -> None:
        names = {name.lower() for name, _ in self.headers}
        if self._has_head and not names & {b"content-length", b"transfer-encoding"}:
            self.is_complete = True  # A body without a length ends with its connection.
            return
        message = "the server disconnected without sending a whole answer"
        raise httpx.RemoteProtocolError(message)
