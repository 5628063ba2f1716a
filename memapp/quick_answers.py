"""Send an answer as one packet, write its date once a second, and say when it is the last.

gunicorn sends the head by itself and the body after it: two system calls for the worker, between
which its threads take turns, and two packets to be read by the client. And where a large body was
not read, it says that the connection goes on and then closes it; for a smaller one it waits.
"""

import time
from email.utils import formatdate

import gunicorn.http.wsgi
import gunicorn.util
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.wsgi import Response

_DRAINED = 64 * 1024
"""Of a body that was not read, gunicorn discards less than this to go on with the connection."""

_date: tuple[int, str] = (-1, "")


def answer_quickly() -> None:
    """Have gunicorn answer in this way; it has no setting for it."""
    gunicorn.http.wsgi.Response = QuickResponse
    gunicorn.util.http_date = http_date


class QuickResponse(Response):  # type: ignore[misc]
    """An answer whose head waits for the body, where that comes whole."""

    headers_sent: bool

    def should_close(self) -> bool:
        """Tell whether the connection ends with this answer (RFC 9112, section 9.6)."""
        body = self.req.body
        return (
            bool(super().should_close())
            or getattr(body, "failed", False)
            or _has_too_much_left(body)
        )

    def write(self, arg: bytes) -> None:
        """Send a part of the body, the first one together with the head."""
        is_first = not (self.headers_sent or self._omits_body or self.chunked)
        if not is_first or self.response_length != len(arg):
            super().write(arg)
            return
        head = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers)]
        self.headers_sent = True
        self.sent = len(arg)
        self.sock.sendall("".join([*head, "\r\n"]).encode("latin-1") + arg)


def _has_too_much_left(body: object) -> bool:
    """Tell whether the rest of a body is too long to be discarded, or is still to come."""
    match getattr(body, "reader", None):
        case LengthReader(length=left, unreader=unreader):
            return bool(left >= _DRAINED or left > len(unreader.buf.getvalue()))
        case ChunkedReader(parser=unfinished):
            return unfinished is not None
        case _:
            return False


def http_date(timestamp: float | None = None) -> str:
    """Return a time, by default the present, as RFC 9110 (section 5.6.7) writes it."""
    global _date  # noqa: PLW0603 - threads that read it meanwhile get the date of now or just now
    second = int(time.time() if timestamp is None else timestamp)
    if _date[0] != second:
        _date = (second, formatdate(second, usegmt=True))
    return _date[1]
