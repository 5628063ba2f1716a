"""Errors that no field is to blame for, and what every answer carries."""

import logging
from collections.abc import Callable

import pytest
from flask import Blueprint, Flask
from werkzeug.exceptions import ImATeapot

from memapp import errors
from memapp.routes.authentication import is_open
from memapp.routes.problems import Problem, problem_of
from memapp.routes.request_ids import RequestIdFilter
from tests.openapi import CheckedClient, checked_client

MakeApp = Callable[..., Flask]

failing = Blueprint("failing", __name__)


@failing.get("/fail/<kind>")
@is_open
def fail(kind: str) -> str:
    raise _ERRORS[kind]


_ERRORS: dict[str, Exception] = {
    "unexpected": RuntimeError("the password is hunter2"),
    "teapot": ImATeapot(),
    "down": errors.StoreUnavailable("10.0.0.7:8000 refuses connections"),
    "slow": errors.StoreTimeout("took 30 s"),
    "refused": errors.StoreRefused("Chroma refuses our token"),
    "broken": errors.StoreBroken("index damaged"),
    "embedder": errors.EmbedderUnavailable("api.example.com is down"),
    "mismatch": errors.EmbedderMismatch("the store was written with a; run 'memapp reembed'"),
    "conflict": errors.Conflict("contradiction", code="some_conflict"),
    "missing": errors.NotFound("there is no memory with this id"),
}


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("unexpected", 500, "internal_error"),
        ("teapot", 418, "i_m_a_teapot"),
        ("down", 503, "chroma_unavailable"),
        ("slow", 503, "chroma_unavailable"),
        ("refused", 503, "chroma_unavailable"),
        ("broken", 503, "chroma_unavailable"),
        ("embedder", 503, "embedder_unavailable"),
        ("mismatch", 409, "embedder_mismatch"),
        ("conflict", 409, "some_conflict"),
        ("missing", 404, "not_found"),
    ],
)
def test_every_kind_of_error_has_its_problem(
    make_app: MakeApp, kind: str, status: int, code: str
) -> None:
    client = make_app(BLUEPRINTS=[f"{__name__}:failing"]).test_client()
    response = client.get(f"/fail/{kind}")
    problem = response.get_json()
    assert response.mimetype == "application/problem+json"
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert ("Retry-After" in response.headers) == (status == 503)


@pytest.mark.parametrize("kind", ["unexpected", "down", "slow", "refused", "broken", "embedder"])
def test_what_a_5xx_is_about_stands_in_the_log_alone(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    client = make_app(BLUEPRINTS=[f"{__name__}:failing"]).test_client()
    response = client.get(f"/fail/{kind}", headers={"X-Request-ID": "find-me"})
    cause = str(_ERRORS[kind])
    assert cause not in response.text
    assert cause in caplog.text
    assert {vars(record)["request_id"] for record in caplog.records} == {"find-me"}


def test_a_5xx_says_nothing_of_itself_in_debug_mode_either(make_app: MakeApp) -> None:
    app = make_app(BLUEPRINTS=[f"{__name__}:failing"])
    app.debug = app.testing = True
    response = app.test_client().get("/fail/unexpected")
    assert (response.status_code, "hunter2" in response.text) == (500, False)


def test_every_error_of_memapp_has_a_problem_of_its_own() -> None:
    made: dict[type[errors.MemappError], errors.MemappError] = {
        errors.ConfigurationError: errors.ConfigurationError("fault"),
        errors.InvalidInput: errors.InvalidInput([errors.FieldError("/a", "b")]),
        errors.Conflict: errors.Conflict("c"),
    }

    def kinds(error: type[errors.MemappError]) -> list[type[errors.MemappError]]:
        return [error, *(kind for heir in error.__subclasses__() for kind in kinds(heir))]

    expected = {errors.MemappError: 500, errors.ConfigurationError: 500}
    for kind in kinds(errors.MemappError):
        problem: Problem = problem_of(made.get(kind) or kind("message"))
        assert (problem.status == 500) == (expected.get(kind) == 500), kind


@pytest.mark.parametrize("path", ["/", "/nope", "/v1", "/v1/memories/", "//health", "/health/"])
def test_a_path_that_does_not_exist_is_404(client: CheckedClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.get_json()["code"]) == (404, "not_found")
    assert "/docs" in response.get_json()["detail"]


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "PROPFIND", "PATCH"])
def test_a_method_that_is_not_taken_is_405_and_says_which_are(
    client: CheckedClient, method: str
) -> None:
    response = client.open("/v1/memories", method=method)
    assert (response.status_code, response.get_json()["code"]) == (405, "method_not_allowed")
    allowed = {name.strip() for name in response.headers["Allow"].split(",")}
    assert allowed == {"GET", "HEAD", "POST", "DELETE"}


@pytest.mark.parametrize("call", ["search", "batch"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_call_by_the_wrong_method_is_not_taken_for_an_id(
    client: CheckedClient, call: str, method: str
) -> None:
    response = client.open(f"/v1/memories/{call}", method=method)
    assert (response.status_code, response.get_json()["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_head_answers_as_get_does_but_without_a_body(client: CheckedClient) -> None:
    response = client.head("/health")
    assert (response.status_code, response.data) == (200, b"")


@pytest.mark.parametrize("sane", ["abc", "A-b_c.1~x:/+=@", "f" * 128])
def test_a_sane_request_id_of_the_callers_is_kept(client: CheckedClient, sane: str) -> None:
    response = client.get("/health", headers={"X-Request-ID": sane})
    assert response.headers["X-Request-ID"] == sane


@pytest.mark.parametrize("odd", ["", " ", "a b", "é", "f" * 129, "a\tb", "<script>", '"'])
def test_an_odd_request_id_is_replaced(client: CheckedClient, odd: str) -> None:
    environ = {"HTTP_X_REQUEST_ID": odd}
    first = client.get("/health", environ_overrides=environ).headers["X-Request-ID"]
    second = client.get("/health", environ_overrides=environ).headers["X-Request-ID"]
    assert len(first) == len(second) == 32
    assert first != second


def test_the_log_has_one_line_a_request_and_no_secrets_in_it(
    client: CheckedClient, caplog: pytest.LogCaptureFixture, user: str
) -> None:
    caplog.handler.addFilter(RequestIdFilter())
    with caplog.at_level(logging.INFO, "memapp.access"):
        client.get(
            f"/v1/memories?user_id={user}",
            headers={"X-Request-ID": "my-id", "Authorization": "Bearer hunter2"},
        )
        client.get("/nope%0Aforged line")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("GET /v1/memories 200 ")
    assert lines[0].endswith(" ms tenant=default")
    assert vars(caplog.records[0])["request_id"] == "my-id"
    assert lines[1].startswith("GET /nope%0Aforged%20line 404 ")
    assert user not in "".join(lines)
    assert "hunter2" not in "".join(lines)


def test_the_default_limit_of_flask_holds_for_routes_of_plug_ins(make_app: MakeApp) -> None:
    assert make_app(MAX_BODY_BYTES=4096).config["MAX_CONTENT_LENGTH"] == 4096


def test_two_apps_keep_their_own_limits(make_app: MakeApp, client: CheckedClient) -> None:
    strict = checked_client(make_app(MAX_QUERY_CHARACTERS=5, MAX_ID_CHARACTERS=8))
    question = {"user_id": "u", "query": "longer"}
    assert strict.post("/v1/memories/search", json=question).status_code == 422
    assert client.post("/v1/memories/search", json=question).status_code == 200
