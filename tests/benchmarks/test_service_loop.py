"""The load generator: what it counts must be what happened."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest

from benchmarks.service import library_worker
from benchmarks.service.calls import Call
from benchmarks.service.closed_loop import drive
from benchmarks.service.http_requests import http_request, send

GET = http_request("GET", "/", b"")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.contextmanager
def server(*answers: bytes, hang_up: bool = False) -> Iterator[tuple[str, int]]:
    """Answer each request on a connection with the next of `answers`, over and over."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve(connection: socket.socket) -> None:
            # A request that comes in two packets is answered twice, perhaps to nobody.
            with connection, contextlib.suppress(ConnectionError):
                number = 0
                while connection.recv(65_536):
                    answer = answers[number % len(answers)]
                    # In two packets: an answer seldom comes whole.
                    connection.sendall(answer[:20])
                    connection.sendall(answer[20:])
                    number += 1
                    if hang_up:
                        return

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = door.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield door.getsockname()
        door.shutdown(socket.SHUT_RDWR)


def test_every_request_of_every_client_is_answered_once() -> None:
    with server(OK) as address:
        logs = drive(address, [[GET] * 3, [GET] * 5], seconds=30)

    assert [len(log.latencies) for log in logs] == [3, 5]
    assert [log.failures for log in logs] == [0, 0]


def test_no_request_but_the_first_begins_after_the_time_is_over() -> None:
    with server(OK) as address:
        logs = drive(address, [[GET] * 1000], seconds=0)

    assert len(logs[0].latencies) == 1


class Idle:
    """A library that does nothing."""

    def do(self, _call: Call) -> list[str]:
        return []

    def load(self, users: Sequence[str], numbers: Sequence[Sequence[int]]) -> None: ...

    def fill_library(self, texts: Sequence[str], first_row: int) -> None: ...


def test_no_call_of_a_library_but_the_first_begins_after_the_time_is_over() -> None:
    logs = library_worker._run(Idle(), [[Call("get")] * 1000] * 2, seconds=0)

    assert [len(log.latencies) for log in logs] == [1, 1]


def test_a_refusal_counts_as_a_failure_and_is_kept() -> None:
    refusal = b"HTTP/1.1 503 Unavailable\r\ncontent-length: 4\r\n\r\nbusy"
    with server(OK, refusal) as address:
        (log,) = drive(address, [[GET] * 4], seconds=30)

    assert log.failures == 2
    assert log.first_failure.endswith("busy")


def test_a_broken_connection_counts_as_a_failure_and_the_client_goes_on() -> None:
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", hang_up=True) as address:
        (log,) = drive(address, [[GET] * 3], seconds=30)

    assert (len(log.latencies), log.failures) == (3, 3)


def test_a_client_follows_a_server_that_closes_after_each_answer() -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with server(closing, hang_up=True) as address:
        (log,) = drive(address, [[GET] * 3], seconds=30)

    assert (len(log.latencies), log.failures) == (3, 0)


def test_an_answer_in_chunks_is_read_to_its_end() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    with server(chunked, OK) as address:
        (log,) = drive(address, [[GET] * 4], seconds=30)

    assert (len(log.latencies), log.failures) == (4, 0)


@pytest.mark.parametrize("body", [b"", b'{"a": 1}'])
def test_a_written_request_can_be_sent_alone(body: bytes) -> None:
    with server(OK) as address:
        assert send(address, http_request("POST", "/x", body)) == (200, b"ok")
