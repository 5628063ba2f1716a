"""Read the requests that nearly all clients send, in a fraction of the time that gunicorn takes.

A request is plain if it comes over a connection that has carried one before, and there is only one
way to read it: an origin-form target (RFC 9112, section 3.2.1), short lines, each field once and in
printable ASCII, a small body with Content-Length or none. And all of it has come. Whatever else
comes, gunicorn reads and refuses as ever, and it does all that follows the reading.
"""

import io
import re
from typing import Any

from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

_START = re.compile(r"(GET|POST|PATCH|PUT|DELETE) (/(?!/)[!\"$-~]*) HTTP/1\.1")
_NAME = re.compile(r"[A-Za-z0-9-]+")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,5}")

_LEFT_TO_GUNICORN = frozenset({"EXPECT", "TE", "TRAILER", "TRANSFER-ENCODING", "UPGRADE"})

_LONGEST_LINE = 2_000
_MOST_FIELDS = 50


class PlainRequest(Request):  # type: ignore[misc]
    """A request that has been read whole, with what gunicorn wants to know of any."""

    def __init__(
        self,
        parser: "PlainParser",
        start: re.Match[str],
        fields: dict[str, str],
        scheme: str,
        body: bytes,
    ) -> None:
        """Make the next request of a parser of what it has read."""
        self.cfg = parser.cfg
        self.unreader = parser.unreader
        self.peer_addr = self.remote_addr = parser.source_addr
        self.req_number = parser.req_count
        uri: str = start[2]
        self.method, self.uri = start[1], uri
        self.path, _, self.query = uri.partition("?")
        self.fragment = ""
        self.version = (1, 1)
        self.scheme = scheme
        self.headers = list(fields.items())
        self.trailers: list[tuple[str, str]] = []
        self.body = io.BytesIO(body)
        self.must_close = False
        self.proxy_protocol_info = None

    def should_close(self) -> bool:
        """Tell whether this is the last request of its connection."""
        return bool(self.must_close)


class PlainParser(RequestParser):  # type: ignore[misc]
    """Reads one request of a connection after the other, the plain ones by itself."""

    def __init__(self, former: RequestParser) -> None:
        """Go on where gunicorn's own parser has got to, after its first request."""
        super().__init__(former.cfg, former.unreader.sock, former.source_addr)
        self.unreader = former.unreader
        self.mesg = former.mesg
        self.req_count = former.req_count
        self._foreseen: PlainRequest | None = None
        limits = (self.cfg.limit_request_line, self.cfg.limit_request_field_size)
        self._longest_line = min([_LONGEST_LINE, *(limit for limit in limits if limit > 0)])
        self._most_fields = min(_MOST_FIELDS, self.cfg.limit_request_fields)
        self._default_scheme = "https" if self.cfg.is_ssl else "http"
        # Whether this peer is believed is the same for all of its requests.
        self._scheme_fields, _ = self.mesg._peer_trusted_for_forwarded()  # noqa: SLF001

    def finish_body(self, *args: Any, **keywords: Any) -> bool:
        """Discard what the app has left of a body; nothing of a plain one is still to come."""
        if isinstance(self.mesg, PlainRequest):
            return True
        return bool(super().finish_body(*args, **keywords))

    def __next__(self) -> Request:
        """Return the next request; wait for it unless it was foreseen."""
        request, self._foreseen = self._foreseen, None
        if request is None:
            return super().__next__()
        self.mesg = request
        return request

    def foresee(self, received: bytes) -> bool:
        """Read the next request of what was received, if that is all of a plain one."""
        if self.mesg.should_close() or not self.finish_body():
            return False
        self._foreseen = self._read(received)
        return self._foreseen is not None

    def _read(self, received: bytes) -> PlainRequest | None:
        head, end, body = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        start = _START.fullmatch(first) if end and len(first) <= self._longest_line else None
        fields = self._fields(lines) if start is not None else None
        scheme = None if fields is None else self._scheme(fields)
        length = None if fields is None else _LENGTH.fullmatch(fields.get("CONTENT-LENGTH", "0"))
        if start is None or fields is None or scheme is None or length is None:
            return None
        if int(length[0]) != len(body):
            return None
        self.req_count += 1
        return PlainRequest(self, start, fields, scheme, body)

    def _fields(self, lines: list[str]) -> dict[str, str] | None:
        """Return the values by names in upper case; None if any field is not plain."""
        fields: dict[str, str] = {}
        if len(lines) > self._most_fields:
            return None
        for line in lines:
            name, _, value = line.partition(":")
            value = value.strip(" \t")
            if len(line) > self._longest_line or not _NAME.fullmatch(name):
                return None
            if len(line) == len(name) or not (value.isascii() and value.isprintable()):
                return None
            name = name.upper()
            if name in fields or name in _LEFT_TO_GUNICORN:
                return None
            fields[name] = value
        if fields.get("CONNECTION", "keep-alive").lower() != "keep-alive":
            return None
        return fields

    def _scheme(self, fields: dict[str, str]) -> str | None:
        """Return what the proxy in front says of the scheme; None if it contradicts itself."""
        told = {
            fields[name] == secure for name, secure in self._scheme_fields.items() if name in fields
        }
        if len(told) > 1:
            return None
        return ("https" if told.pop() else "http") if told else self._default_scheme
