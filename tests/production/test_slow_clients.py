"""Clients that are slow, or say nothing, keep nobody else waiting and are given up in time."""

import json
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.production.memapp_server import MemappServer

CROWD = 80
HEAD = b"POST /v1/memories HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
SLOW = {
    "say nothing": b"",
    "send half a head": HEAD[:40],
    "send a head without end": HEAD + b"X-A: a\r\n" * 10_000,
    "speak another version": b"GET / HTTP/1.2\r\nX-A: a",
    "send half a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "send half a second request": b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" + HEAD,
    "keep a large body back": HEAD + b"Content-Length: 100000\r\n\r\n{",
    "keep the chunks back": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    "wait to be told to go on": HEAD + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
    "do not leave": b"GET /health HTTP/1.0\r\n\r\n",
}


class OpenServer(MemappServer):
    """memapp in one process, by default without keys, so that any body is read.

    Attributes:
        patience: Seconds that clients may take; 20 by default, as for users.
    """

    def __init__(
        self, folder: Path, *, patience: float = 20.0, auth: str = "off", **further: str
    ) -> None:
        environ = {
            "ENV_FOR_DYNACONF": "development",
            "MEMAPP_AUTH": auth,
            "MEMAPP_EMBEDDER": "hash",
            **further,
        }
        super().__init__(folder, environ, arguments=("-w", "1"))
        with (folder / "gunicorn.conf.py").open("a") as configuration:
            configuration.write(
                f"from memapp import pace\npace._PATIENCE_SECONDS = {patience}\nkeepalive = 3\n"
            )

    def connect(self) -> socket.socket:
        """Return a new connection; nothing on it takes longer than a test may."""
        return socket.create_connection((self.host, self.port), timeout=20)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenServer]:
    """A server that is as patient as it is for users."""
    with _started(OpenServer(tmp_path_factory.mktemp("patient"))) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenServer]:
    """A server that gives clients up after a second."""
    with _started(OpenServer(tmp_path_factory.mktemp("hasty"), patience=1.0)) as server:
        yield server


@contextmanager
def _started(server: OpenServer) -> Iterator[OpenServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _until_closed(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def _problem(answer: bytes) -> tuple[bytes, str]:
    """Return the status line of an answer, and the code of the problem that is its body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head + b"\r\n"
    assert b"\r\nConnection: close\r\n" in head + b"\r\n"
    return head.split(b"\r\n")[0], json.loads(body)["code"]


@pytest.mark.parametrize("manner", SLOW)
def test_nobody_waits_for_clients_that(patient: OpenServer, manner: str) -> None:
    with ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(patient.connect()).sendall(SLOW[manner])
        begin = time.monotonic()

        for _ in range(3):
            requests.get(f"{patient.url}/health", timeout=20).raise_for_status()
            memory = {"user_id": "ann", "text": manner}
            requests.post(f"{patient.url}/v1/memories", json=memory, timeout=20).raise_for_status()

        assert time.monotonic() - begin < 2


def test_large_bodies_do_not_wait_for_clients_without_a_key(tmp_path: Path) -> None:
    with _started(OpenServer(tmp_path, auth="keys")) as server, ExitStack() as stack:
        for _ in range(CROWD // 4):
            for manner in SLOW.values():
                stack.enter_context(server.connect()).sendall(manner)
        begin = time.monotonic()

        answer = requests.post(
            f"{server.url}/v1/rag/documents",
            headers={"Authorization": f"Bearer {server.key}"},
            files={"file": ("large.md", "Tea at four.\n\n" * 6_000, "text/markdown")},
            timeout=60,
        )

        assert answer.status_code == 201
        assert time.monotonic() - begin < 5


def test_nobody_waits_for_clients_that_do_not_read_their_answers(patient: OpenServer) -> None:
    with ExitStack() as stack:
        for _ in range(CROWD // 4):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((patient.host, patient.port))
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
        end = time.monotonic() + 4  # By then all have as much as the kernel keeps for them.
        while time.monotonic() < end:
            requests.get(f"{patient.url}/health", timeout=2).raise_for_status()


def test_an_answer_that_is_read_slowly_comes_whole(patient: OpenServer) -> None:
    whole = requests.get(f"{patient.url}/openapi.json", timeout=20).content
    with socket.socket() as client:
        client.settimeout(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((patient.host, patient.port))
        client.sendall(
            b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20
            + b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        time.sleep(0.2)

        assert _until_closed(client).count(whole) == 21


@pytest.mark.parametrize(
    "manner",
    ["send half a head", "send half a body", "keep a large body back", "keep the chunks back"],
)
def test_a_request_that_does_not_come_is_answered_408(hasty: OpenServer, manner: str) -> None:
    with hasty.connect() as connection:
        connection.sendall(SLOW[manner])

        start, code = _problem(_until_closed(connection))

    assert (start.upper(), code) == (b"HTTP/1.1 408 REQUEST TIMEOUT", "request_timeout")


@pytest.mark.parametrize("head", [HEAD, HEAD + b"Content-Length: 100000\r\n\r\n"])
def test_a_request_that_comes_byte_by_byte_is_given_up(hasty: OpenServer, head: bytes) -> None:
    with hasty.connect() as connection:
        connection.sendall(head)
        begin = time.monotonic()
        connection.settimeout(0.05)
        answer = b""
        while not answer:
            assert time.monotonic() - begin < 10
            connection.sendall(b"a")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue

    assert answer.startswith(b"HTTP/1.1 408")


def test_clients_that_say_nothing_are_dropped_without_an_answer(hasty: OpenServer) -> None:
    with hasty.connect() as connection:
        assert _until_closed(connection) == b""


def test_clients_that_do_not_read_their_answers_are_dropped(hasty: OpenServer) -> None:
    with socket.socket() as client:
        client.settimeout(20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((hasty.host, hasty.port))
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
        errors = select.poll()
        errors.register(client, 0)

        assert errors.poll(15_000)


@pytest.mark.parametrize("length", [2_000, 100_000])
def test_a_body_that_comes_slowly_but_steadily_is_read(hasty: OpenServer, length: int) -> None:
    text = json.dumps({"user_id": "ann", "text": f"{length} bytes"}).encode()
    body = text + b" " * (length - len(text))
    step = length // 20
    with hasty.connect() as connection:
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % length)
        for begin in range(0, length, step):
            time.sleep(0.1)  # Two seconds in all: twice as long as may be waited for nothing.
            connection.sendall(body[begin : begin + step])

        assert _until_closed(connection).startswith(b"HTTP/1.1 201")


def test_a_client_that_waits_to_be_told_to_go_on_is_told(hasty: OpenServer) -> None:
    body = b'{"user_id": "ann", "text": "asked first"}'
    with hasty.connect() as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)

        assert connection.recv(65536).startswith(b"HTTP/1.1 201")


def test_requests_that_come_together_and_in_pieces_are_all_answered(hasty: OpenServer) -> None:
    body = b'{"user_id": "ann", "text": "in pieces"}'
    one = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    sent = one * 5 + last
    with hasty.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin in range(0, len(sent), 37):
            connection.sendall(sent[begin : begin + 37])

        assert _until_closed(connection).count(b"HTTP/1.1 20") == 6


def test_whoever_waits_longest_makes_room_for_others(tmp_path: Path) -> None:
    server = OpenServer(tmp_path)
    server.arguments = ("-w", "1", "--worker-connections", "20")
    with _started(server), ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(server.connect())
        begin = time.monotonic()

        requests.get(f"{server.url}/health", timeout=20).raise_for_status()

        assert time.monotonic() - begin < 2


def test_who_is_idle_between_requests_makes_room_for_who_sends_one(tmp_path: Path) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    server = OpenServer(tmp_path)
    server.arguments = ("-w", "1", "--worker-connections", "20")
    with _started(server), ExitStack() as stack:
        for _ in range(12):
            idle = stack.enter_context(server.connect())
            idle.sendall(request)
            assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        time.sleep(0.2)  # Until no thread stays with them.
        slow = stack.enter_context(server.connect())
        slow.sendall(request[:10])
        for _ in range(15):
            stack.enter_context(server.connect())
        time.sleep(0.5)

        slow.sendall(request[10:])

        assert slow.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_client_may_take_its_time_while_the_service_drains(tmp_path: Path) -> None:
    with _started(OpenServer(tmp_path, MEMAPP_DRAIN_SECONDS="300")) as server:
        server.send(signal.SIGTERM)
        while server.status("/health/ready") != 503:
            time.sleep(0.01)
        with server.connect() as connection:
            time.sleep(1)
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")

            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_stopping_answers_what_is_on_its_way_and_waits_for_nobody_else(tmp_path: Path) -> None:
    with _started(OpenServer(tmp_path)) as server, ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(server.connect())
        half = stack.enter_context(server.connect())
        half.sendall(b"GET /health")
        requests.get(f"{server.url}/health", timeout=20).raise_for_status()
        begin = time.monotonic()
        server.send(signal.SIGTERM)
        while server.status("/health"):
            time.sleep(0.01)

        half.sendall(b" HTTP/1.1\r\nHost: a\r\n\r\n")

        assert half.recv(65536).startswith(b"HTTP/1.1 200")
        server.stop()
        assert time.monotonic() - begin < 15
