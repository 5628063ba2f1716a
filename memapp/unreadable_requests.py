"""Answer, as problems, the requests that gunicorn refuses before the app sees them."""

import json
import secrets
import socket
from http import HTTPStatus

import gunicorn.util

_DETAILS = {
    400: ("malformed_request", "is no HTTP/1.1 request that can be read; check its first line, "
          "its headers and its chunks"),
    408: ("request_timeout", "the request came too slowly; send it again, without pauses"),
    414: ("uri_too_long", "the request line is too long; shorten the query string, or search "
          "with POST /v1/memories/search"),
    417: ("expectation_failed", "Expect may say nothing but 100-continue"),
    431: ("headers_too_large", "the headers are too large or too many; send fewer"),
    500: ("internal_error", "memapp failed; the log has the cause under this request_id"),
    501: ("not_implemented", "send the body with Content-Length, or in chunks and in no "
          "other Transfer-Encoding"),
}  # fmt: skip


def answer_with_problems() -> None:
    """Have gunicorn answer `application/problem+json` (RFC 9457) where it would answer HTML.

    gunicorn 27 has no hook for it: every worker calls `gunicorn.util.write_error`.
    """
    gunicorn.util.write_error = _write_problem


def _write_problem(client: socket.socket, status: int, _reason: str, _message: str) -> None:
    # The message would repeat what the caller sent, and the reason does not always fit the status.
    reason = HTTPStatus(status).phrase
    code, detail = _DETAILS.get(status, (reason.lower().replace(" ", "_"), reason))
    request_id = secrets.token_hex(16)
    problem = {
        "type": "about:blank",
        "title": reason,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    body = json.dumps(problem)
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    gunicorn.util.write_nonblock(client, (head + body).encode("ascii"))
