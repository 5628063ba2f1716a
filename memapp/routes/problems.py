"""Every error as RFC 9457 `application/problem+json`, for all routes of the app, once.

A problem names the field and the rule. It never holds the value that broke the rule, a stack
trace, a secret, or anything of another tenant; what a 5xx is about stands in the log alone.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from memapp.errors import (
    Conflict,
    EmbedderMismatch,
    EmbedderUnavailable,
    FieldError,
    InvalidInput,
    MemappError,
    NotFound,
    StoreTimeout,
    StoreUnavailable,
)
from memapp.routes.limits import limits
from memapp.routes.request_ids import request_id

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_FIRST_ERROR = 400

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """What the caller is told about a request that cannot be fulfilled.

    Attributes:
        status: The HTTP status.
        code: Stable snake_case name, for programs.
        detail: What is wrong and what mends it, for people.
        errors: The fields at fault.
        headers: Further headers of the answer.
    """

    status: HTTPStatus
    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Return the members of the problem's JSON object."""
        members: dict[str, object] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id(),
        }
        if self.errors:
            members["errors"] = field_errors(self.errors)
        return members


class Refused(Exception):
    """The request breaks a rule of HTTP or of this API's use of it, before any service is asked."""

    def __init__(self, problem: Problem) -> None:
        """Keep what the caller is told."""
        self.problem = problem
        super().__init__(problem.detail)


def init_app(app: Flask) -> None:
    """Answer every error of the app, those of routing included, with a problem."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> BaseResponse:
    """Return the response to an error; what is ours to mend is logged."""
    if isinstance(error, HTTPException) and (error.response or (error.code or 500) < _FIRST_ERROR):
        return error.get_response()
    problem = problem_of(error)
    response = Response(orjson.dumps(problem.document()), problem.status, mimetype=MEDIA_TYPE)
    response.headers.update(problem.headers)
    return response


def problem_of(error: Exception) -> Problem:
    """Return what the caller is told about an error; what is ours to mend is logged."""
    match error:
        case Refused():
            return error.problem
        case InvalidInput():
            return invalid_input(error.errors)
        case NotFound():
            return Problem(HTTPStatus.NOT_FOUND, "not_found", str(error))
        case Conflict():
            return Problem(HTTPStatus.CONFLICT, error.code, str(error))
        case EmbedderMismatch():
            _log.error("%s", error)
            return Problem(HTTPStatus.CONFLICT, "embedder_mismatch", str(error))
        case EmbedderUnavailable() | StoreUnavailable():
            return _unavailable(error)
        case HTTPException():
            return _of_http(error)
        case _:
            _log.error("The request failed", exc_info=error)
            detail = "memapp failed; the log has the cause under this request_id"
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)


def invalid_input(errors: Sequence[FieldError]) -> Problem:
    """Return the problem of fields that break rules."""
    detail = "the request breaks the rules of one field or more; errors names each"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_input", detail, errors)


def field_errors(errors: Sequence[FieldError]) -> list[dict[str, str]]:
    """Return field errors as they stand in JSON."""
    return [{"pointer": error.pointer, "detail": error.detail} for error in errors]


def _too_large() -> Problem:
    # A form may also be what a route was sent that takes JSON alone.
    may_be_upload = request.max_content_length == limits().MAX_UPLOAD_BYTES
    is_upload = may_be_upload and request.mimetype == "multipart/form-data"
    setting = "MAX_UPLOAD_BYTES" if is_upload else "MAX_BODY_BYTES"
    most = getattr(limits(), setting)
    if is_upload and request.content_length is not None and request.content_length <= most:
        detail = f"the form must have at most {request.max_form_parts} parts"
    else:
        detail = f"the body must have at most {most} bytes ({setting})"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)


def _unavailable(error: MemappError) -> Problem:
    _log.warning("%s: %s", type(error).__name__, error)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if isinstance(error, EmbedderUnavailable):
        code, detail = "embedder_unavailable", "the embedder cannot answer now; try again"
    elif isinstance(error, StoreTimeout):
        code = "chroma_unavailable"
        detail = "Chroma took too long; try again, a write with the same Idempotency-Key or text"
    else:
        code, detail = "chroma_unavailable", "Chroma cannot answer now; try again"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers=headers)


def _of_http(error: HTTPException) -> Problem:
    if isinstance(error, RequestEntityTooLarge):
        return _too_large()
    if isinstance(error, ClientDisconnected):
        detail = "the body ended before all of it had arrived, or is badly cut into chunks"
        return Problem(HTTPStatus.BAD_REQUEST, "incomplete_body", detail)
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    kept = {"Allow", "Retry-After", "WWW-Authenticate"}
    headers = {name: value for name, value in error.get_headers() if name in kept}
    detail = _DETAILS.get(status, error.description or status.phrase)
    return Problem(status, re.sub("[^a-z]+", "_", status.phrase.lower()), detail, headers=headers)


_DETAILS = {
    HTTPStatus.NOT_FOUND: "there is no such path; /docs shows all, /openapi.json lists them",
    HTTPStatus.REQUEST_TIMEOUT: "the body came too slowly; send it again, without pauses",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take this method; Allow has those it takes",
}
