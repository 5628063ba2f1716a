"""A test client that holds every answer against the app's own OpenAPI document."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from memapp import rfc3339
from memapp.routes.openapi import template_of

Document = dict[str, Any]

_PROBLEM = "application/problem+json"
_NDJSON = "application/x-ndjson"
_TEXT = "text/plain"
_UNDESCRIBED = {"/openapi.json", "/docs"}

_formats = FormatChecker()


@_formats.checks("date-time", raises=ValueError)
def _is_our_time(value: object) -> bool:
    """Times are answered in one form only: UTC, microseconds, `Z`."""
    return not isinstance(value, str) or rfc3339.write(rfc3339.parse(value)) == value


class CheckedClient(FlaskClient):
    """Flask's test client; an answer that the document does not describe fails the test."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        assert_described(self.application, response)
        return response


def checked_client(app: Flask) -> CheckedClient:
    """Return a client for an app that checks every answer."""
    app.test_client_class = CheckedClient
    client = app.test_client()
    assert isinstance(client, CheckedClient)
    return client


def document_of(app: Flask) -> Document:
    """Return the OpenAPI document that an app serves."""
    document: Document = FlaskClient(app, app.response_class).get("/openapi.json").get_json()
    return document


def assert_described(app: Flask, response: TestResponse) -> None:
    """Fail unless the document has this status, media type and body for this operation."""
    request = response.request
    assert response.headers["X-Request-ID"]
    if request.path in _UNDESCRIBED and response.status_code == 200:
        return
    document = _document(app)
    operation = _operation(app, document, request.path, request.method)
    if operation is None:
        assert response.status_code in {404, 405}
        _assert_valid(document, {"$ref": "#/components/schemas/Problem"}, response.get_json())
        return
    described = operation["responses"].get(str(response.status_code))
    assert described, f"{request.method} {request.path} does not describe {response.status}"
    content = described.get("content", {})
    if not content:
        assert not response.data
        return
    assert response.mimetype in content, f"{response.mimetype} is not one of {list(content)}"
    for instance in _instances(response):
        _assert_valid(document, content[response.mimetype]["schema"], instance)
    if response.mimetype == _PROBLEM:
        _assert_good_problem(response)


@cache
def _document(app: Flask) -> Document:
    return document_of(app)


def _operation(app: Flask, document: Document, path: str, method: str) -> Document | None:
    try:
        rule, _ = app.url_map.bind("localhost").match(path, method, return_rule=True)
    except HTTPException:
        return None
    operation: Document | None = document["paths"][template_of(rule)].get(
        "get" if method == "HEAD" else method.lower()
    )
    return operation


def _instances(response: TestResponse) -> Iterator[Any]:
    if response.mimetype == _NDJSON:
        yield from map(orjson.loads, response.data.splitlines())
    elif response.mimetype == _TEXT:
        yield response.text
    elif response.request.method != "HEAD":
        yield orjson.loads(response.data)


def _assert_valid(document: Document, schema: Document, instance: Any) -> None:
    whole = {**schema, "components": document["components"]}
    errors = list(Draft202012Validator(whole, format_checker=_formats).iter_errors(instance))
    assert not errors, f"{errors[0].json_path}: {errors[0].message}\n{json.dumps(instance)[:2000]}"


def _assert_good_problem(response: TestResponse) -> None:
    problem = orjson.loads(response.data)
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in response.text
    assert (response.status_code == 422) == ("errors" in problem)
