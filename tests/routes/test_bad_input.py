"""Every field of every route refuses what it must not hold, and nothing is stored half."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from memapp.app import create_app
from tests.openapi import CheckedClient, checked_client, document_of
from tests.routes.bad_values import MARK, bad_values, broken_values
from tests.routes.conftest import MakeApp

USER = "bad-input"

GOOD_BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/memories": {"user_id": USER, "text": "never stored"},
    "POST /v1/memories/batch": {"memories": [{"user_id": USER, "text": "never stored"}]},
    "POST /v1/memories/search": {"user_id": USER, "query": "anything"},
    "PATCH /v1/memories/{memory_id}": {"text": "never changed"},
    "POST /v1/rag/documents": {"text": "never stored", "collection": USER},
    "POST /v1/rag/retrieve": {"query": "anything"},
}
GOOD_QUERIES = {
    "GET /v1/memories": {"user_id": USER},
    "DELETE /v1/memories": {"user_id": USER, "dry_run": "true"},
}


@dataclass(frozen=True)
class Target:
    """An operation of the document."""

    method: str
    path: str
    operation: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def url(self, memory_id: str, *, other: str = "none") -> str:
        return self.path.format(memory_id=memory_id, document_id=other, name=other)

    @property
    def fields(self) -> dict[str, Any]:
        content = self.operation["requestBody"]["content"]["application/json"]
        model = content["schema"]["$ref"].rpartition("/")[2]
        fields: dict[str, Any] = _COMPONENTS[model]["properties"]
        return fields


# Settings of a folder without files: the document is the same for every app.
_DOCUMENT = document_of(create_app(Path(__file__).parent, EMBEDDER="hash", AUTH="off"))
_COMPONENTS = _DOCUMENT["components"]["schemas"]
TARGETS = [
    Target(method.upper(), path, operation)
    for path, item in _DOCUMENT["paths"].items()
    for method, operation in item.items()
]
_WITH_BODY = [target for target in TARGETS if "requestBody" in target.operation]


def _bad_fields() -> Iterator[Any]:
    for target in _WITH_BODY:
        for field, schema in target.fields.items():
            for case, value in bad_values(schema, _COMPONENTS):
                yield pytest.param(target, field, value, id=f"{target.name} {field}: {case}")


def _body_with(target: Target, field: str, raw_value: str) -> str:
    """Return the good body with one field replaced by raw JSON."""
    others = {k: v for k, v in GOOD_BODIES[target.name].items() if k != field}
    members = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in others.items()]
    return "{" + ", ".join([*members, f"{json.dumps(field)}: {raw_value}"]) + "}"


@pytest.fixture(scope="module")
def kept(app: Flask) -> str:
    """The id of a memory that all bad requests leave as it is."""
    body = {"user_id": USER, "text": "was here before"}
    memory_id: str = checked_client(app).post("/v1/memories", json=body).get_json()["id"]
    return memory_id


@pytest.fixture
def send(client: CheckedClient, kept: str) -> Iterator[Callable[..., TestResponse]]:
    """Send a request that must change nothing."""

    def send(target: Target, body: str | bytes = "", **options: Any) -> TestResponse:
        if body:
            options = {"content_type": "application/json", "data": body, **options}
        options.setdefault("query_string", GOOD_QUERIES.get(target.name))
        return client.open(target.url(kept), method=target.method, **options)

    yield send
    memories = client.get(f"/v1/memories?user_id={USER}").get_json()["data"]
    assert [(m["id"], m["text"], m["version"]) for m in memories] == [(kept, "was here before", 1)]
    assert USER not in [c["name"] for c in client.get("/v1/rag/collections").get_json()["data"]]


def _assert_names(response: TestResponse, field: str) -> None:
    assert response.status_code == 422, response.text
    assert response.get_json()["code"] == "invalid_input"
    pointers = [error["pointer"] for error in response.get_json()["errors"]]
    assert any(p == field or p.startswith(f"{field}/") for p in pointers), pointers


@pytest.mark.parametrize(("target", "field", "value"), list(_bad_fields()))
def test_a_bad_value_is_refused_by_the_name_of_its_field_and_not_repeated(
    send: Callable[..., TestResponse], target: Target, field: str, value: str
) -> None:
    response = send(target, _body_with(target, field, value))
    _assert_names(response, f"/{field}")
    assert MARK not in response.text.replace(f"/{MARK}", "")


@pytest.mark.parametrize(
    ("target", "value"),
    [
        pytest.param(target, value, id=f"{target.name}: {case}")
        for target in _WITH_BODY
        for case, value in broken_values()
    ],
)
def test_a_body_that_is_not_readable_json_is_refused(
    send: Callable[..., TestResponse], target: Target, value: str
) -> None:
    field = next(iter(GOOD_BODIES[target.name]))
    response = send(target, _body_with(target, field, value))
    assert (response.status_code, response.get_json()["code"]) == (400, "malformed_body")
    assert MARK not in response.text


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"text": "cut of', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"text": "\xff\xfe"}', 400),
        ('{"text": "é"}'.encode("utf-16"), 400),
        (b"{} {}", 400),
        (b"{'text': 1}", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"7", 422),
        (b'{"zqx-unknown": 1}', 422),
        (b'{"\\ud800": 1}', 422),
        (b'{"a": 1, "a": 1}', 422),
    ],
    ids=repr,
)
def test_a_body_that_is_no_json_object_of_the_route_is_refused(
    send: Callable[..., TestResponse], target: Target, body: bytes, status: int
) -> None:
    response = send(target, body, content_type="application/json")
    assert response.status_code == status, response.text


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
def test_an_unknown_field_is_refused_by_its_name(
    send: Callable[..., TestResponse], target: Target
) -> None:
    response = send(target, _body_with(target, "colour", "1"))
    _assert_names(response, "/colour")


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
def test_every_required_field_is_missed(send: Callable[..., TestResponse], target: Target) -> None:
    content = target.operation["requestBody"]["content"]["application/json"]
    schema = _COMPONENTS[content["schema"]["$ref"].rpartition("/")[2]]
    response = send(target, b"{}")
    pointers = [error["pointer"] for error in response.get_json()["errors"]]
    assert pointers == ([f"/{name}" for name in schema.get("required", [])] or [""])


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""],
)
def test_a_body_of_another_content_type_is_refused(
    send: Callable[..., TestResponse], target: Target, content_type: str
) -> None:
    response = send(target, json.dumps(GOOD_BODIES[target.name]), content_type=content_type)
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
def test_a_compressed_body_is_refused(send: Callable[..., TestResponse], target: Target) -> None:
    body = json.dumps(GOOD_BODIES[target.name])
    response = send(target, body, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
@pytest.mark.parametrize("server_ends_streams", [True, False])
def test_a_body_shorter_than_promised_is_refused(
    send: Callable[..., TestResponse],
    target: Target,
    server_ends_streams: bool,  # noqa: FBT001
) -> None:
    body = json.dumps(GOOD_BODIES[target.name])
    environ: dict[str, Any] = {"CONTENT_LENGTH": str(len(body) + 1)}
    if server_ends_streams:
        environ["wsgi.input_terminated"] = True
    response = send(target, body, environ_overrides=environ)
    assert (response.status_code, response.get_json()["code"]) == (400, "incomplete_body")


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
def test_a_body_larger_than_the_limit_is_refused_by_the_name_of_the_setting(
    send: Callable[..., TestResponse], target: Target, app: Flask
) -> None:
    limit = app.config["MAX_BODY_BYTES"]
    response = send(target, b" " * (limit + 1), content_type="application/json")
    assert (response.status_code, response.get_json()["code"]) == (413, "body_too_large")
    assert f"{limit} bytes (MAX_BODY_BYTES)" in response.get_json()["detail"]


@pytest.mark.parametrize("target", _WITH_BODY, ids=lambda target: target.name)
def test_a_body_of_unknown_length_is_refused_beyond_the_limit(
    send: Callable[..., TestResponse], target: Target, app: Flask
) -> None:
    body = json.dumps(GOOD_BODIES[target.name]).ljust(app.config["MAX_BODY_BYTES"] + 1)
    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    response = send(target, body, environ_overrides=environ)
    assert (response.status_code, response.get_json()["code"]) == (413, "body_too_large")


def test_a_form_larger_than_the_limit_where_json_is_due_is_refused_by_the_right_setting(
    make_app: MakeApp,
) -> None:
    client = checked_client(make_app(MAX_BODY_BYTES=1024))
    form = {"text": "x" * 2000}
    response = client.post("/v1/memories", data=form, content_type="multipart/form-data")
    assert (response.status_code, response.get_json()["code"]) == (413, "body_too_large")
    assert "1024 bytes (MAX_BODY_BYTES)" in response.get_json()["detail"]


def _bad_parameters() -> Iterator[Any]:
    for target in TARGETS:
        for parameter in target.operation.get("parameters", []):
            if parameter["in"] != "query":
                continue
            schema, name = parameter["schema"], parameter["name"]
            bad = {"empty": "", "a control character": f"{MARK}\x07", "NUL": f"{MARK}\x00"}
            if schema["type"] != "string" or "contentSchema" in schema:
                bad |= {
                    "text": MARK,
                    "a list": f'["{MARK}"]',
                    "a fraction": "1.5",
                    "huge": "9" * 99,
                }
            if schema["type"] == "integer":
                bad |= {"small": str(schema["minimum"] - 1), "large": str(schema["maximum"] + 1)}
                bad |= {
                    "underscores": "1_0",
                    "blanks": " 1",
                    "sign": "+1",
                    "other digits": "\N{FULLWIDTH DIGIT ONE}",
                }
            if "maxLength" in schema:
                bad["too long"] = MARK + "x" * schema["maxLength"]
            if "pattern" in schema:
                bad["two periods in a row"] = f"{MARK}..b"
            for case, value in bad.items():
                yield pytest.param(target, name, value, id=f"{target.name} {name}: {case}")


@pytest.mark.parametrize(("target", "name", "value"), list(_bad_parameters()))
def test_a_bad_parameter_is_refused_by_its_name_and_not_repeated(
    send: Callable[..., TestResponse], target: Target, name: str, value: str
) -> None:
    query = {**GOOD_QUERIES.get(target.name, {}), name: value}
    response = send(target, query_string=query)
    _assert_names(response, f"?{name}")
    assert MARK not in response.text


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_route_refuses_an_unknown_parameter(
    send: Callable[..., TestResponse], target: Target
) -> None:
    body = json.dumps(GOOD_BODIES.get(target.name, {})) if target in _WITH_BODY else ""
    response = send(target, body, query_string={"colour": MARK})
    _assert_names(response, "?colour")


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_the_documentation_refuses_an_unknown_parameter(app: Flask, path: str) -> None:
    client = FlaskClient(app, app.response_class)  # It is no part of the document it shows.
    assert client.get(path).status_code == 200
    _assert_names(client.get(path, query_string={"colour": MARK}), "?colour")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_route_refuses_a_parameter_given_twice(
    send: Callable[..., TestResponse], target: Target
) -> None:
    _assert_names(send(target, query_string="user_id=a&user_id=b"), "?user_id")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_route_refuses_a_query_that_is_not_utf8(
    send: Callable[..., TestResponse], target: Target
) -> None:
    response = send(target, query_string="user_id=%FF")
    assert (response.status_code, response.get_json()["code"]) == (400, "malformed_url")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/memories/{}",
        "/v1/memories/{}/history",
        "/v1/rag/documents/{}",
        "/v1/rag/documents/{}/text",
        "/v1/rag/documents/{}/chunks",
    ],
)
def test_a_bad_id_in_a_path_is_refused(client: CheckedClient, path: str) -> None:
    too_long = client.get(path.format("x" * 257))
    control = client.get(path.format("a%07"))
    # As servers give it: bytes as Latin-1.
    not_utf8 = client.get("/", environ_overrides={"PATH_INFO": path.format("a\xff")})
    assert (too_long.status_code, control.status_code, not_utf8.status_code) == (422, 422, 400)


@pytest.mark.parametrize("name", ["a..b", "-a", "a.", "x" * 129])
def test_a_bad_collection_in_a_path_is_refused(client: CheckedClient, name: str) -> None:
    _assert_names(client.delete(f"/v1/rag/collections/{name}"), "{name}")


@pytest.mark.parametrize("name", ["", "-a", "a-", "a/b", "ä", "a b", "a" * 129, ".", "a..b", "a\n"])
def test_a_bad_collection_in_a_body_is_refused(client: CheckedClient, name: str) -> None:
    body = {"text": "never stored", "collection": name}
    _assert_names(client.post("/v1/rag/documents", json=body), "/collection")


@pytest.mark.parametrize("name", ["a", "a.b-c_d", "A_.-1", "1.2.3.4", "a--b", "x" * 128])
def test_every_name_that_is_allowed_can_be_had_by_a_collection(
    client: CheckedClient, name: str
) -> None:
    body = {"text": "somewhere", "collection": name}
    assert client.post("/v1/rag/documents", json=body).status_code == 201
    assert client.delete(f"/v1/rag/collections/{name}").status_code == 204


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ('{"colour": 1}', "/filter/colour"),
        ('{"metadata.": 1}', "/filter/metadata."),
        ('{"metadata.x": {"like": 1}}', "/filter/metadata.x/like"),
        ('{"metadata.x": {}}', "/filter/metadata.x"),
        ('{"metadata.x": null}', "/filter/metadata.x"),
        ('{"metadata.x": {"in": []}}', "/filter/metadata.x/in"),
        ('{"metadata.x": {"in": 1}}', "/filter/metadata.x/in"),
        ('{"metadata.x": {"exists": 1}}', "/filter/metadata.x/exists"),
        ('{"metadata.x": {"gt": [1]}}', "/filter/metadata.x/gt"),
        ('{"created_at": {"gt": "yesterday"}}', "/filter/created_at/gt"),
        ('{"created_at": {"gt": 5}}', "/filter/created_at/gt"),
        ('{"created_at": "0001-01-01T00:00:00+14:00"}', "/filter/created_at"),
        ('{"and": {}}', "/filter/and"),
        ('{"or": []}', "/filter/or"),
        ('{"not": []}', "/filter/not"),
        ('{"or": [{"not": {"colour": 1}}]}', "/filter/or/0/not/colour"),
        ('{"not":' * 9 + '{"metadata.x": 1}' + "}" * 9, "/filter" + "/not" * 8),
        ('{"metadata.x": {"in": [1e999]}}', "/filter/metadata.x/in/0"),
        ('{"metadata.x": "\\u0000"}', "/filter/metadata.x"),
        ('{"metadata.\\u0007": 1}', "/filter/metadata.?"),
    ],
)
def test_a_bad_filter_is_refused_where_it_is_bad(
    client: CheckedClient, raw: str, pointer: str
) -> None:
    body = f'{{"user_id": "u", "query": "q", "filter": {raw}}}'
    searched = client.post("/v1/memories/search", data=body, content_type="application/json")
    listed = client.get("/v1/memories", query_string={"user_id": "u", "filter": raw})
    _assert_names(searched, pointer)
    _assert_names(listed, "?filter" + pointer.removeprefix("/filter"))


@pytest.mark.parametrize(
    "metadata",
    [
        {"": 1},
        {" ": 1},
        {"x" * 65: 1},
        {"a\x07": 1},
        {"x": None},
        {"x": {}},
        {"x": []},
        {"x": [[1]]},
        {"x": [1, "a"]},
        {"x": [True, 1]},
        {"x": [None]},
        {"x": "a\x00"},
        {"x": ["a\x00"]},
        {"x": "a" * 2001},
        {"x": [1] * 65},
        {f"k{n}": n for n in range(33)},
        {f"k{n}": "é" * 2000 for n in range(5)},
    ],
    ids=lambda metadata: json.dumps(metadata)[:40],
)
def test_bad_metadata_is_refused(
    client: CheckedClient, user: str, collection: str, metadata: dict[str, Any]
) -> None:
    memory = {"user_id": user, "text": "never stored", "metadata": metadata}
    document = {"collection": collection, "text": "never stored", "metadata": metadata}
    _assert_names(client.post("/v1/memories", json=memory), "/metadata")
    _assert_names(client.post("/v1/rag/documents", json=document), "/metadata")
    assert client.get(f"/v1/memories?user_id={user}").get_json()["data"] == []


def test_a_memory_must_not_expire_in_the_past_nor_in_two_ways(
    client: CheckedClient, user: str
) -> None:
    body = {"user_id": user, "text": "never stored"}
    past = client.post("/v1/memories", json={**body, "expires_at": "2020-01-01T00:00:00Z"})
    both = {**body, "expires_at": "2999-01-01T00:00:00Z", "ttl_seconds": 5}
    _assert_names(past, "/expires_at")
    _assert_names(client.post("/v1/memories", json=both), "/ttl_seconds")


@pytest.mark.parametrize("key", ["", " ", "x" * 257, "a\x07b"])
def test_a_bad_idempotency_key_is_refused(client: CheckedClient, user: str, key: str) -> None:
    body = {"user_id": user, "text": "never stored"}
    environ = {"HTTP_IDEMPOTENCY_KEY": key}
    response = client.post("/v1/memories", json=body, environ_overrides=environ)
    _assert_names(response, "Idempotency-Key")
