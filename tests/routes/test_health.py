"""The health routes: embedded, and against real servers in every state."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from memapp import serving, wiring
from memapp.errors import StoreUnavailable
from memapp.routes import health
from tests.chroma.fake_servers import answer_briefly, listener, speak_tls
from tests.chroma_server import ChromaServer, free_port
from tests.openapi import CheckedClient, checked_client

MakeApp = Callable[..., Flask]


def test_health_names_the_service_and_touches_nothing(make_app: MakeApp) -> None:
    client = checked_client(make_app(CHROMA_MODE="http", CHROMA_PORT=free_port()))
    answer = client.get("/health").get_json()
    assert (answer["status"], answer["service"]) == ("ok", "memapp")
    assert (answer["environment"], answer["mode"]) == ("development", "http")
    assert "memapp.chroma" not in client.application.extensions


def test_health_of_an_embedded_chroma_counts_what_is_there(make_app: MakeApp) -> None:
    client = checked_client(make_app())
    client.post("/v1/memories", json={"user_id": "u", "text": "one"})
    client.post("/v1/rag/documents", json={"text": "a document"})
    answer = client.get("/health/chromadb").get_json()
    assert answer.pop("latency_ms") >= 0
    assert answer == {
        "status": "connected",
        "mode": "persistent",
        "auth": "not_applicable",
        "memories": 1,
        "documents": 1,
        "chunks": 1,
    }


def test_a_chroma_that_is_down_is_503_within_two_seconds(make_app: MakeApp) -> None:
    client = checked_client(make_app(CHROMA_MODE="http", CHROMA_PORT=free_port()))
    for path in ("/health/chromadb", "/health/ready", "/v1/memories?user_id=u"):
        response, seconds = _quickest(client, path)
        assert seconds < 2
        assert (response.status_code, response.get_json()["code"]) == (503, "chroma_unavailable")
        assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.xdist_group("chroma-server")
def test_a_chroma_that_freezes_is_503_within_two_seconds_and_recovers_by_itself(
    make_app: MakeApp, chroma_server: ChromaServer
) -> None:
    client = checked_client(_on_server(make_app, chroma_server.port))
    assert client.get("/health/ready").status_code == 200
    chroma_server.freeze()
    try:
        frozen, seconds = _quickest(client, "/health/chromadb")
    finally:
        chroma_server.thaw()
    assert frozen.status_code == 503
    assert seconds < 2
    deadline = time.monotonic() + 20
    while client.get("/health/ready").status_code != 200:
        assert time.monotonic() < deadline


@pytest.mark.xdist_group("chroma-server")
def test_a_server_that_ignores_tokens_is_found_out_and_logged_once(
    make_app: MakeApp, chroma_server: ChromaServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = _on_server(make_app, chroma_server.port, CHROMA_AUTH_TOKEN="k" * 32)
    client = checked_client(app)
    with caplog.at_level(logging.WARNING, "memapp.chroma.health"):
        answers = [client.get("/health/chromadb").get_json() for _ in range(3)]
    assert [answer["auth"] for answer in answers] == ["not_enforced"] * 3
    assert [record.message for record in caplog.records] == [
        f"CHROMA_AUTH_TOKEN is set, but the Chroma server at 127.0.0.1:{chroma_server.port} lets "
        "wrong tokens in: Chroma 1.x checks none itself, put a gate in front of it "
        "(docker-compose.chromadb.yml has one)"
    ]


@pytest.mark.xdist_group("chroma-server")
@pytest.mark.parametrize("environment", ["production", "development"])
def test_production_is_warned_once_of_an_open_server_without_a_token(
    make_app: MakeApp,
    chroma_server: ChromaServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
) -> None:
    monkeypatch.setenv("ENV_FOR_DYNACONF", environment)
    client = checked_client(_on_server(make_app, chroma_server.port))
    with caplog.at_level(logging.WARNING, "memapp.chroma.health"):
        answers = [client.get("/health/chromadb").get_json() for _ in range(2)]
    assert [answer["auth"] for answer in answers] == ["not_enforced"] * 2
    assert [record.message[:33] for record in caplog.records] == [
        "CHROMA_AUTH_TOKEN is not set, and"
    ] * (environment == "production")


def test_a_gate_that_refuses_a_wrong_token_is_seen_to_and_asked_seldom(make_app: MakeApp) -> None:
    heard: list[bytes] = []
    with listener(answer_briefly(401, heard)) as port:
        app = _on_server(make_app, port, CHROMA_AUTH_TOKEN="k" * 32)
        with app.app_context():
            checks = [wiring.health().token_check() for _ in range(3)]
    assert checks == ["enforced"] * 3
    assert len(heard) == 1
    assert heard[0].startswith(b"GET /api/v2/auth/identity ")
    assert b"k" * 32 not in heard[0]


@pytest.mark.parametrize(
    ("status", "check"),
    [
        (200, "not_enforced"),
        (204, "not_enforced"),
        (401, "enforced"),
        (403, "enforced"),
        (407, "enforced"),
    ],
)
def test_a_server_says_by_its_status_whether_it_checks_tokens(
    make_app: MakeApp, status: int, check: str
) -> None:
    with listener(answer_briefly(status)) as port:
        assert _token_check(_on_server(make_app, port)) == check


@pytest.mark.parametrize("status", [302, 404, 429, 500, 502, 503, 504])
def test_a_server_that_answers_otherwise_is_not_said_to_let_wrong_tokens_in(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    with listener(answer_briefly(status)) as port:
        app = _on_server(make_app, port, CHROMA_AUTH_TOKEN="k" * 32)
        with pytest.raises(StoreUnavailable, match=f"status {status}"):
            _token_check(app)
    assert caplog.text == ""


@pytest.mark.parametrize("proxy_is_up", [True, False])
def test_no_proxy_answers_for_chroma_whether_it_checks_tokens(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, *, proxy_is_up: bool
) -> None:
    with listener(answer_briefly(407)) as proxy, listener(answer_briefly(200)) as port:
        monkeypatch.setenv(
            "http_proxy", f"http://127.0.0.1:{proxy if proxy_is_up else free_port()}"
        )
        assert _token_check(_on_server(make_app, port)) == "not_enforced"


def test_no_netrc_replaces_the_wrong_token(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password right\n")
    monkeypatch.setenv("NETRC", str(netrc))
    heard: list[bytes] = []
    with listener(answer_briefly(200, heard)) as port:
        _token_check(_on_server(make_app, port))
    assert b"authorization: bearer wrong-on-purpose" in heard[0].lower()


def test_the_token_is_tried_under_a_certificate_that_chroma_may_have(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with listener(speak_tls(tmp_path, answer_briefly(401))) as port:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert _token_check(_on_server(make_app, port, CHROMA_SSL=True)) == "enforced"


def test_the_token_is_tried_at_an_address_of_ipv6(make_app: MakeApp) -> None:
    with listener(answer_briefly(401), host="::1") as port:
        assert _token_check(_on_server(make_app, port, CHROMA_HOST="::1")) == "enforced"


def test_a_process_that_was_told_to_stop_is_not_ready(client: CheckedClient) -> None:
    draining = client.get("/health/ready", environ_overrides={serving.DRAINING: True})
    assert (draining.status_code, draining.get_json()["code"]) == (503, "draining")
    assert client.get("/health", environ_overrides={serving.DRAINING: True}).status_code == 200
    assert client.get("/health/ready").get_json() == {"status": "ready"}


def test_the_server_and_the_route_mean_the_same_by_draining() -> None:
    assert health.DRAINING == serving.DRAINING


def _quickest(client: CheckedClient, path: str) -> tuple[TestResponse, float]:
    """Return the answer, and the shortest of three times; a busy machine makes others longer."""
    times = []
    for _ in range(3):
        begin = time.monotonic()
        response = client.get(path)
        times.append(time.monotonic() - begin)
    return response, min(times)


def _on_server(make_app: MakeApp, port: int, **overrides: object) -> Flask:
    server = {"CHROMA_MODE": "http", "CHROMA_HOST": "127.0.0.1", "CHROMA_PORT": port}
    return make_app(**(server | overrides))


def _token_check(app: Flask) -> str:
    with app.app_context():
        return wiring.health().token_check()
