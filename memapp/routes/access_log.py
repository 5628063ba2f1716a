"""One line in the log for each request: what, how long, for whom; never a query, key or text."""

import logging
import time
from urllib.parse import quote

from flask import Flask, Response, g, request

_log = logging.getLogger("memapp.access")


def init_app(app: Flask) -> None:
    """Log every request of the app when its answer is ready."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    if _log.isEnabledFor(logging.INFO):
        _log.info(
            "%s %s %d %.1f ms tenant=%s",
            request.method,
            quote(request.path),  # An encoded line break in it must not begin a line of the log.
            response.status_code,
            (time.perf_counter() - g.began) * 1000,
            g.principal.tenant if "principal" in g else "-",
        )
    return response
