"""The session that takes the place of Chroma's own speaks HTTP/1.1 as servers do."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest

from memapp.backends import http_session
from memapp.backends.http_session import HttpSession
from memapp.chroma_config import Patience
from tests.chroma.fake_servers import listener

PATIENCE = Patience(connect_timeout=0.5, probe_timeout=0.5, heartbeat_timeout=0.5, read_timeout=1)
FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def session_with(talk: Callable[[socket.socket], None], **headers: str) -> Iterator[HttpSession]:
    headers = {"X-Chroma-Token": "t"} | headers
    with listener(talk) as port:
        session = HttpSession(f"http://127.0.0.1:{port}/api/v2", headers, PATIENCE)
        yield session
        session.close()


def ask(session: HttpSession, **options: object) -> httpx.Response | object:
    return session.request("post", f"{session._origin}/api/v2/thing", **options)  # type: ignore[arg-type]


def answering(*parts: bytes, heard: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    """Answer one request with `parts`, and close the connection."""

    def talk(connected: socket.socket) -> None:
        received = connected.recv(65536)
        if heard is not None:
            heard.append(received)
        for part in parts:
            connected.sendall(part)
        connected.close()

    return talk


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Len", b"gth: 5\r\n\r\nhe", b"llo"], id="pieces"),
        pytest.param(
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            ],
            id="chunks",
        ),
        pytest.param([b"HTTP/1.0 200 OK\r\n\r\nhello"], id="until-the-end"),
        pytest.param(
            [b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"],
            id="after-an-interim-answer",
        ),
    ],
)
def test_an_answer_is_read_whole(parts: list[bytes]) -> None:
    with session_with(answering(*parts)) as session:
        answer = session.request("get", f"{session._origin}/api/v2/thing")
    assert (answer.status_code, answer.text) == (200, "hello")


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"],
    ids=["nothing", "half-a-head", "half-a-body"],
)
def test_an_answer_that_breaks_off_is_no_answer(sent: bytes) -> None:
    with (
        session_with(answering(sent)) as session,
        pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)),
    ):
        ask(session)


def test_a_request_carries_headers_body_and_query() -> None:
    heard: list[bytes] = []
    with session_with(answering(FINE, heard=heard)) as session:
        ask(session, content=b'{"a":1}', params={"limit": 1, "offset": 2})
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v2/thing?limit=1&offset=2 HTTP/1.1\r\n")
    assert {b"Content-Length: 7", b"X-Chroma-Token: t"} < set(head.split(b"\r\n"))
    assert body == b'{"a":1}'


@pytest.mark.parametrize("name", ["Accept-Encoding", "accept-encoding"])
def test_a_proxy_that_compresses_what_it_may_sends_an_answer_that_can_be_read(name: str) -> None:
    def talk(connected: socket.socket) -> None:
        is_allowed = b"gzip" in connected.recv(65536)
        body = gzip.compress(b"hello") if is_allowed else b"hello"
        encoding = b"Content-Encoding: gzip\r\n" if is_allowed else b""
        connected.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (encoding, body))
        connected.close()

    with session_with(talk, **{name: "gzip, deflate"}) as session:
        answer = session.request("get", f"{session._origin}/api/v2/thing")
    assert answer.text == "hello"


def test_one_connection_serves_requests_in_turn() -> None:
    connections = []

    def talk(connected: socket.socket) -> None:
        connections.append(connected)
        while connected.recv(65536):
            connected.sendall(FINE)

    with session_with(talk) as session:
        for _ in range(3):
            ask(session)
    assert len(connections) == 1


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    closed = threading.Event()

    def talk(connected: socket.socket) -> None:
        connected.recv(65536)
        connected.sendall(FINE)
        connected.close()
        closed.set()

    with session_with(talk) as session:
        for _ in range(3):
            ask(session)
            assert closed.wait(5)
            closed.clear()


def test_the_connections_of_a_burst_are_closed_while_one_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(http_session, "time", SimpleNamespace(monotonic=lambda: now))
    together = threading.Barrier(3)
    closed = threading.Semaphore(0)

    def talk(connected: socket.socket) -> None:
        while connected.recv(65536):
            if now == 0:
                together.wait(5)
            connected.sendall(FINE)
        closed.release()

    with session_with(talk) as session:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda _: ask(session), range(3)))
        for now in (30, 60):  # noqa: B007 - the clock
            ask(session)

        assert [closed.acquire(timeout=5) for _ in range(2)] == [True, True]
        assert len(session._open) == 1


def test_a_failure_comes_as_the_response_that_chromas_client_reads() -> None:
    sent = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"
    with session_with(answering(sent)) as session:
        answer = ask(session)
    assert isinstance(answer, httpx.Response)
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        answer.raise_for_status()


def test_closing_ends_a_request_under_way() -> None:
    begun = threading.Event()

    def talk(connected: socket.socket) -> None:
        connected.recv(65536)
        begun.set()
        connected.recv(65536)

    failures: list[Exception] = []
    with session_with(talk) as session:

        def call() -> None:
            try:
                ask(session)
            except httpx.TransportError as error:
                failures.append(error)

        calling = threading.Thread(target=call)
        calling.start()
        assert begun.wait(5)
        session.close()
        calling.join(5)
    assert [type(failure) for failure in failures] in (
        [httpx.ReadError],
        [httpx.RemoteProtocolError],
    )
