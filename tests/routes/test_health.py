"""The health routes: embedded, and against real servers in every state."""

import logging
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from memapp import serving, wiring
from memapp.routes import health
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


@pytest.fixture
def gate() -> Iterator[ThreadingHTTPServer]:
    """Something on a port that refuses every token."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    asked: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    server.asked = asked  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_gate_that_refuses_a_wrong_token_is_seen_to_and_asked_seldom(
    make_app: MakeApp, gate: ThreadingHTTPServer
) -> None:
    settings = {"CHROMA_MODE": "http", "CHROMA_HOST": "127.0.0.1", "CHROMA_AUTH_TOKEN": "k" * 32}
    app = make_app(**settings, CHROMA_PORT=gate.server_port)
    with app.app_context():
        checks = [wiring.health().token_check() for _ in range(3)]
    assert checks == ["enforced"] * 3
    asked = gate.asked  # type: ignore[attr-defined]
    assert len(asked) == 1
    assert "k" * 32 not in asked[0][1]


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
    return make_app(**server, **overrides)
