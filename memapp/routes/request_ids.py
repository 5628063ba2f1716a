"""One id for each request: in the answer, in problems and in the log."""

import logging
import random
import re
from contextvars import ContextVar

from flask import Flask, Response, request

HEADER = "X-Request-ID"
_OFFERED = "HTTP_X_REQUEST_ID"

# What can be logged and echoed without escaping; anything else is replaced by an id of ours.
_SANE = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")

# A context variable rather than `flask.g`, so that log records of a request's threads have it too.
_current: ContextVar[str] = ContextVar("memapp_request_id", default="-")


def init_app(app: Flask) -> None:
    """Take or make an id before anything else happens to a request; return it with the answer."""
    app.before_request(_begin)
    app.after_request(_end)


def request_id() -> str:
    """Return the id of the request at hand, or `-` outside of any."""
    return _current.get()


def resume(earlier: str) -> None:
    """Speak for an earlier request again, whose answer is still being made."""
    _current.set(earlier)


class RequestIdFilter(logging.Filter):
    """Gives every log record an attribute `request_id`, for formatters."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id; every record passes."""
        record.request_id = request_id()
        return True


def _begin() -> None:
    offered = request.environ.get(_OFFERED, "")
    _current.set(offered if _SANE.fullmatch(offered) else _new_id())


def _new_id() -> str:
    # No secret: a call of the system for each would cost as much as routing the request.
    return f"{random.getrandbits(128):032x}"


def _end(response: Response) -> Response:
    response.headers[HEADER] = request_id()
    return response
