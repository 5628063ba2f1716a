"""Every way in which Chroma, or what stands in its place, can fail, has one clear error."""

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import chromadb
import httpx
import numpy as np
import pytest
from chromadb import errors as chroma_errors
from chromadb.api import ClientAPI

from memapp.backends import cloud, http, persistent
from memapp.backends.isolation import IsolatedSettings
from memapp.chroma.connection import Connection
from memapp.chroma.faults import fault_of
from memapp.chroma.session import Session
from memapp.chroma_config import ChromaConfig, Patience
from memapp.errors import (
    ConfigurationError,
    EmbedderMismatch,
    InvalidInput,
    MemappError,
    StoreBroken,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)
from tests.chroma.fake_servers import (
    Answer,
    Gate,
    gate,
    greet_as_ssh,
    listener,
    say_nothing,
    speak_tls,
)
from tests.chroma_server import ChromaServer, free_port

TOKEN = "s3cret-T0ken"
QUICK = Patience(
    connect_timeout=0.3, probe_timeout=0.3, heartbeat_timeout=0.3, read_timeout=60, backoff=0.01
)

UNAUTHORIZED = '{"error":"AuthError","message":"Unauthorized"}'
FORBIDDEN = '{"error":"AuthorizationError","message":"Forbidden"}'
UPSTREAM_DOWN = '{"error":"ChromaError","message":"chroma upstream unavailable"}'
TOO_LARGE = '{"error":"BatchSizeExceededError","message":"request body too large"}'
JSON = "application/json"

GATE_FAULTS = {
    "401 page": (Answer(401), StoreRefused, "refuses memapp's token"),
    "403 page": (Answer(403), StoreRefused, "refuses memapp's token"),
    "407 page": (Answer(407), StoreRefused, "refuses memapp's token"),
    "401 JSON": (Answer(401, UNAUTHORIZED, JSON), StoreRefused, "check CHROMA_AUTH_TOKEN"),
    "403 JSON": (Answer(403, FORBIDDEN, JSON), StoreRefused, "check CHROMA_AUTH_TOKEN"),
    "404 page": (Answer(404), StoreBroken, "no Chroma server of version 1"),
    "older Chroma": (
        Answer(404, '{"detail":"Not Found"}', JSON),
        StoreBroken,
        "no Chroma server of version 1",
    ),
    "413 page": (Answer(413), StoreBroken, "lower CHROMA_BATCH_SIZE"),
    "413 JSON": (Answer(413, TOO_LARGE, JSON), StoreBroken, "lower CHROMA_BATCH_SIZE"),
    "429": (Answer(429, "You have been rate limited."), StoreUnavailable, "overloaded"),
    "500 page": (Answer(500), StoreBroken, "internal error"),
    "502 page": (Answer(502), StoreUnavailable, "cannot reach it"),
    "503 page": (Answer(503), StoreUnavailable, "cannot reach it"),
    "503 empty": (Answer(503, ""), StoreUnavailable, "cannot reach it"),
    "503 JSON": (Answer(503, UPSTREAM_DOWN, JSON), StoreUnavailable, "cannot reach it"),
    "504 page": (Answer(504), StoreTimeout, "waited too long"),
    "captive proxy": (Answer(200), StoreBroken, "not Chroma"),
    "redirect": (Answer(302, ""), StoreBroken, "not Chroma"),
}


def connection_to(port: int, **changes: object) -> Connection:
    config = ChromaConfig(host="127.0.0.1", port=port, token=TOKEN, patience=QUICK)
    config = replace(config, **changes)  # type: ignore[arg-type]
    return Connection(partial(http.connect, config), patience=config.patience)


def failure_of(connection: Connection) -> MemappError:
    with pytest.raises(MemappError) as caught:
        connection.names()
    connection.close()
    return caught.value


@pytest.fixture
def relay(chroma_server: ChromaServer) -> Iterator[Gate]:
    with gate(chroma_server.port) as relay:
        yield relay


@pytest.mark.parametrize("name", GATE_FAULTS)
def test_a_gate_that_misbehaves_while_connecting_is_understood(relay: Gate, name: str) -> None:
    relay.answers, expected, words = GATE_FAULTS[name]
    failure = failure_of(connection_to(relay.port))
    assert type(failure) is expected
    assert words in str(failure)


@pytest.mark.parametrize("name", GATE_FAULTS)
def test_a_gate_that_misbehaves_later_is_understood(relay: Gate, name: str) -> None:
    connection = connection_to(relay.port)
    connection.names()
    relay.answers, expected, words = GATE_FAULTS[name]
    failure = failure_of(connection)
    assert type(failure) is expected
    assert words in str(failure)


@pytest.mark.parametrize("name", GATE_FAULTS)
def test_a_plain_client_of_a_plug_in_is_understood_too(relay: Gate, name: str) -> None:
    def connect() -> ClientAPI:
        return chromadb.HttpClient("127.0.0.1", relay.port, settings=IsolatedSettings())

    connection = Connection(connect, patience=QUICK)
    connection.names()
    relay.answers, expected, words = GATE_FAULTS[name]
    with pytest.raises(expected) as caught:
        connection.run(lambda session: session.client.count_collections())
    assert words in str(caught.value)
    relay.answers = None
    connection.run(close_plain_session)
    connection.close()


def close_plain_session(session: object) -> None:
    client = session.client  # type: ignore[attr-defined]
    for server in (client._server, client._admin_client._server):
        server._session.close()


@pytest.mark.parametrize("name", GATE_FAULTS)
def test_no_message_repeats_a_page_or_a_token(relay: Gate, name: str) -> None:
    relay.answers = replace(GATE_FAULTS[name][0], body=f"<html>{TOKEN}</html>")
    message = str(failure_of(connection_to(relay.port)))
    assert "html" not in message
    assert TOKEN not in message
    assert "\n" not in message


def test_a_server_that_is_not_running_is_named() -> None:
    failure = failure_of(connection_to(free_port()))
    assert type(failure) is StoreUnavailable
    assert "not running" in str(failure)


@pytest.mark.parametrize("host", ["chroma.invalid", "chroma..invalid", "c" * 70 + ".invalid"])
def test_an_unknown_host_is_named(host: str) -> None:
    failure = failure_of(connection_to(1, host=host))
    assert type(failure) is StoreUnavailable
    assert "the host name of Chroma is not known: check CHROMA_HOST" in str(failure)


def test_a_look_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        released.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    failure = failure_of(connection_to(1, host="chroma.example"))
    released.set()
    assert type(failure) is StoreUnavailable
    assert "does not answer" in str(failure)


def test_tls_to_a_plain_port_is_named(chroma_server: ChromaServer) -> None:
    failure = failure_of(connection_to(chroma_server.port, ssl=True))
    assert type(failure) is StoreUnavailable
    assert "does not speak TLS" in str(failure)


def test_plain_http_to_a_tls_port_is_named(tmp_path: Path) -> None:
    with listener(speak_tls(tmp_path)) as port:
        failure = failure_of(connection_to(port))
    assert isinstance(failure, StoreUnavailable)
    assert "CHROMA_SSL" in str(failure)


def test_a_certificate_that_nobody_trusts_is_named(tmp_path: Path) -> None:
    with listener(speak_tls(tmp_path)) as port:
        failure = failure_of(connection_to(port, host="localhost", ssl=True))
    assert type(failure) is StoreUnavailable
    assert "certificate" in str(failure)


def test_another_program_on_the_port_is_named() -> None:
    with listener(greet_as_ssh) as port:
        failure = failure_of(connection_to(port))
    assert type(failure) is StoreBroken
    assert "not an HTTP server" in str(failure)
    assert "CHROMA_PORT" in str(failure)


def test_another_program_that_babbles_is_named() -> None:
    with listener(lambda connected: connected.sendall(b"220 mail ESMTP\r\n\r\n")) as port:
        failure = failure_of(connection_to(port))
    assert type(failure) is StoreBroken
    assert "not an HTTP server" in str(failure)


def test_another_service_that_speaks_json_is_named(relay: Gate) -> None:
    relay.answers = Answer(200, '{"status":"green"}', JSON)
    failure = failure_of(connection_to(relay.port))
    assert type(failure) is StoreBroken
    assert "no Chroma server" in str(failure)


def test_a_server_that_accepts_and_stays_mute_is_given_up_while_connecting() -> None:
    with listener(say_nothing) as port:
        failure = failure_of(connection_to(port))
    assert type(failure) is StoreUnavailable
    assert "no sign of life" in str(failure)


def test_an_unknown_tenant_is_named(chroma_server: ChromaServer) -> None:
    failure = failure_of(connection_to(chroma_server.port, tenant="nobody"))
    assert type(failure) is StoreUnavailable
    assert "[nobody] not found: check CHROMA_TENANT" in str(failure)


def test_an_unknown_database_is_named(chroma_server: ChromaServer) -> None:
    failure = failure_of(connection_to(chroma_server.port, database="nothing"))
    assert type(failure) is StoreUnavailable
    assert "[nothing] not found" in str(failure)


@pytest.mark.parametrize("token", ["two words", "line\n", "tab\t", "schlüssel"])
def test_a_token_that_cannot_be_sent_is_named(token: str) -> None:
    failure = failure_of(connection_to(1, token=token))
    assert type(failure) is ConfigurationError
    assert "CHROMA_AUTH_TOKEN" in str(failure)
    assert token not in str(failure)


def test_a_token_header_that_chroma_does_not_know_is_named() -> None:
    failure = failure_of(connection_to(1, token_header="X_CHROMA_TOKEN"))
    assert "Authorization, X-Chroma-Token" in str(failure)


@pytest.mark.parametrize("host", ["http://chroma", "chroma/api", ""])
def test_a_host_that_is_no_bare_name_is_named(host: str) -> None:
    assert "CHROMA_HOST" in str(failure_of(connection_to(1, host=host)))


def test_the_cloud_needs_a_key() -> None:
    with pytest.raises(ConfigurationError, match="CHROMA_API_KEY"):
        cloud.connect(ChromaConfig())


def test_a_vector_of_another_length_means_another_embedder(chroma_server: ChromaServer) -> None:
    connection = connection_to(chroma_server.port, database=chroma_server.new_database())
    shelf = connection.ensure("shelf", {"kind": "a"})
    shelf.add(["1"], np.ones((1, 8), dtype=np.float32), [{"n": 1}], ["text"])
    with pytest.raises(EmbedderMismatch, match="dimension of 8, got 9"):
        shelf.add(["2"], np.ones((1, 9), dtype=np.float32), [{"n": 1}], ["text"])
    connection.close()


def test_what_chroma_cannot_store_is_invalid_input(chroma_server: ChromaServer) -> None:
    connection = connection_to(chroma_server.port)
    with pytest.raises(InvalidInput, match="Expected a name"):
        connection.ensure("a!", {"kind": "a"})
    connection.close()


INTERNAL = {
    "Error executing plan: Internal error: Error creating hnsw segment reader: "
    "Nothing found on disk": (StoreUnavailable, "still writing"),
    "Error getting collection: Missing field: [Missing metadata segment]": (
        StoreBroken,
        "still making or removing",
    ),
    "Error executing plan: Error sending backfill request to compactor: Error getting collection "
    "with segments: Missing field: [Missing vector segment]": (StoreBroken, "making or removing"),
    "Error executing plan: Internal error: Error finding id": (StoreBroken, "must be rebuilt"),
    "Error executing plan: Internal error: Error getting embedding": (StoreBroken, "rebuilt"),
    "Error executing plan: Error sending backfill request to compactor: "
    "Failed to apply logs to the hnsw segment writer": (StoreBroken, "must be rebuilt"),
    "Error executing plan: Error deserializing pickle file: eval error at offset 0: "
    "EOF while parsing": (StoreBroken, "must be rebuilt"),
    "Query error: Database error: error returned from database: (code: 1032) attempt to write "
    "a readonly database": (StoreBroken, "removed or replaced"),
    "error returned from database: (code: 13) database or disk is full": (StoreBroken, "full"),
    "Query error: Database error: error returned from database: (code: 778) disk I/O error": (
        StoreBroken,
        "disk that holds Chroma's data fails",
    ),
    "error returned from database: (code: 26) file is not a database": (StoreBroken, "backup"),
    "error returned from database: (code: 5) database is locked": (StoreBroken, "has locked"),
    "error returned from database: (code: 1) no such table: collections": (
        StoreBroken,
        "Chroma failed",
    ),
    "Error in compaction: Failed to apply logs to the metadata segment": (
        StoreBroken,
        "look at its disk",
    ),
    "something new": (StoreBroken, "Chroma failed: something new"),
}


@pytest.mark.parametrize("text", INTERNAL)
def test_an_internal_error_is_told_by_its_text(text: str) -> None:
    expected, words = INTERNAL[text]
    fault = fault_of(chroma_errors.InternalError(text))
    assert fault is not None
    assert type(fault.error) is expected
    assert words in str(fault.error)


def test_only_what_met_a_write_or_a_drop_under_way_is_repeated() -> None:
    passing = {
        text.rpartition(": ")[2]
        for text in INTERNAL
        if (fault := fault_of(chroma_errors.InternalError(text))) and fault.is_passing
    }
    assert passing == {
        "Nothing found on disk",
        "[Missing metadata segment]",
        "[Missing vector segment]",
        "Error finding id",
        "Error getting embedding",
    }


@pytest.mark.parametrize(("retries", "calls"), [(2, 6), (0, 1)])
def test_a_read_that_met_a_deletion_waits_for_its_end(
    chroma_server: ChromaServer, retries: int, calls: int
) -> None:
    patience = replace(QUICK, retries=retries, backoff=0.001)
    connection = connection_to(chroma_server.port, patience=patience)
    seen = []

    def read(_session: Session) -> None:
        seen.append(1)
        raise chroma_errors.InternalError("Error executing plan: Internal error: Error finding id")

    with pytest.raises(StoreBroken, match="must be rebuilt"):
        connection.run(read)
    connection.close()
    assert len(seen) == calls


TRANSPORT: dict[type[httpx.TransportError], tuple[type[MemappError], bool]] = {
    httpx.ConnectTimeout: (StoreUnavailable, False),
    httpx.ReadTimeout: (StoreTimeout, False),
    httpx.WriteTimeout: (StoreTimeout, False),
    httpx.PoolTimeout: (StoreTimeout, False),
    httpx.ReadError: (StoreUnavailable, True),
    httpx.WriteError: (StoreUnavailable, True),
    httpx.CloseError: (StoreUnavailable, True),
    httpx.UnsupportedProtocol: (StoreUnavailable, False),
    httpx.ProxyError: (StoreUnavailable, False),
    httpx.LocalProtocolError: (StoreUnavailable, False),
}


@pytest.mark.parametrize("kind", TRANSPORT)
def test_every_transport_error_is_translated(kind: type[httpx.TransportError]) -> None:
    fault = fault_of(kind("boom"))
    assert fault is not None
    assert (type(fault.error), fault.is_passing) == TRANSPORT[kind]


def test_what_is_not_chromas_is_left_alone() -> None:
    assert fault_of(ValueError("a bug of ours")) is None
    assert fault_of(Exception("a bug of ours")) is None


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.touch()
    with pytest.raises(StoreUnavailable, match=re.escape(f"{path} cannot be used: File exists")):
        persistent.connect(ChromaConfig(path=str(path)))


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(StoreUnavailable, match="/proc/memapp cannot be used"):
        persistent.connect(ChromaConfig(path="/proc/memapp"))
