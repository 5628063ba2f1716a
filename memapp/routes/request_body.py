"""The bytes of a request's body: all that were promised, and no more than allowed.

Werkzeug trusts servers that end the stream by themselves, as gunicorn does: a body that is cut off
looks whole to it, and one without Content-Length is silently cut at the limit.
"""

import io
from functools import cached_property
from typing import IO, TYPE_CHECKING, cast

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug import exceptions
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_AT_ONCE = 64 * 1024
_OTHER_CODING = "send the body with Content-Length, or in chunks and in no other Transfer-Encoding"


class StrictRequest(Request):
    """A request whose body is read whole or not at all."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body; reading raises 413 beyond `max_content_length`, and 400 if it ends early.

        It raises 408 if it comes too slowly, where the server measures that.
        A body that was compressed for the transfer, which gunicorn does not undo, is 501.
        """
        if self.environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
            raise exceptions.NotImplemented(_OTHER_CODING)
        most, promised = self.max_content_length, self.content_length
        if promised is not None and most is not None and promised > most:
            raise RequestEntityTooLarge
        if promised is None and not self.environ.get("wsgi.input_terminated"):
            return io.BytesIO()
        body = _PromisedBody(cast("IO[bytes]", self.environ["wsgi.input"]), promised, most)
        # A buffer of its full size would cost a small body more than reading it.
        size = _AT_ONCE if promised is None else min(promised + 1, _AT_ONCE)
        return cast("IO[bytes]", io.BufferedReader(body, size))


class _PromisedBody(io.RawIOBase):
    """Reads a body and holds the client to its promise.

    `promised` bytes are read and no more, since some servers would wait for what never comes;
    None means that the server ends the stream.
    """

    def __init__(self, source: IO[bytes], promised: int | None, most: int | None) -> None:
        self._source = source
        self._promised = promised
        self._most = most
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        left = len(view) if self._promised is None else self._promised - self._count
        data = self._receive(min(len(view), left)) if left else b""
        self._count += len(data)
        if self._most is not None and self._count > self._most:
            raise RequestEntityTooLarge
        if left and not data and self._promised is not None:
            raise ClientDisconnected
        view[: len(data)] = data
        return len(data)

    def _receive(self, most: int) -> bytes:
        try:
            return self._source.read(most)
        except TimeoutError as error:
            raise RequestTimeout from error
        # What servers raise for a broken socket or chunk; gunicorn has its own for chunks.
        except (OSError, ValueError, ParseException) as error:
            raise ClientDisconnected from error
