"""How answers are written: JSON bytes, made once."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response

JSON = "application/json"
NDJSON = "application/x-ndjson"


def answer(
    members: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK, **headers: str
) -> Response:
    """Return a JSON response.

    Args:
        members: The JSON object; times in it as `rfc3339.write` writes them.
        status: The HTTP status.
        headers: Further headers, by their names.
    """
    return Response(json_bytes(members), status, headers, mimetype=JSON)


def no_content() -> Response:
    """Return an empty response."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    del response.headers["Content-Type"]
    return response


def json_bytes(members: Mapping[str, Any]) -> bytes:
    """Return a JSON object as bytes of UTF-8."""
    return orjson.dumps(members, _written, orjson.OPT_PASSTHROUGH_DATETIME)


def _written(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    message = f"{type(value).__name__} has no form in JSON"
    raise TypeError(message)
