"""A connection waits for a client that is not too slow, and loses nothing of an answer."""

import io
import socket
import threading
from collections.abc import Iterator

import pytest

from memapp import pace
from memapp.client_socket import ClientSocket

LARGE = bytes(range(256)) * 40_000


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, ClientSocket]]:
    """The client's end of a connection, and ours."""
    theirs, plain = socket.socketpair()
    with theirs, ClientSocket(plain) as ours:
        theirs.settimeout(20)
        ours.settimeout(None)
        yield theirs, ours


def _read(theirs: socket.socket, count: int) -> bytes:
    return theirs.makefile("rb").read(count)


def test_what_cannot_be_sent_at_once_is_kept_and_sent_later(
    ends: tuple[socket.socket, ClientSocket],
) -> None:
    theirs, ours = ends
    answer = LARGE[:1_000_000]
    ours.sendall(answer[:-9])
    ours.sendall(answer[-9:])
    assert ours.unsent
    received = b""
    while ours.unsent:
        received += theirs.recv(65536)
        ours.send_on()

    assert received + _read(theirs, len(answer) - len(received)) == answer


def test_more_than_is_kept_is_sent_as_fast_as_it_is_read(
    ends: tuple[socket.socket, ClientSocket],
) -> None:
    theirs, ours = ends
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(_read(theirs, 2 * len(LARGE))))
    reader.start()
    ours.send(LARGE)
    ours.sendfile(io.BytesIO(b"before" + LARGE + b"after"), offset=6, count=len(LARGE))
    assert len(ours.unsent) <= 1024 * 1024

    while ours.unsent:
        ours.send_on()
    reader.join()

    assert received == [LARGE * 2]


def test_what_is_unsent_is_sent_before_more_is_waited_for(
    ends: tuple[socket.socket, ClientSocket],
) -> None:
    theirs, ours = ends
    ours.sendall(LARGE[:1_000_000])

    def read_and_go_on() -> None:
        _read(theirs, 1_000_000)
        theirs.sendall(b"next")

    reader = threading.Thread(target=read_and_go_on)
    reader.start()

    assert ours.recv(65536) == b"next"
    reader.join()
    assert not ours.unsent


def test_who_does_not_read_is_given_up(
    ends: tuple[socket.socket, ClientSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_PATIENCE_SECONDS", 0.05)
    with pytest.raises(BrokenPipeError):
        ends[1].sendall(LARGE)


def test_who_does_not_send_is_given_up(
    ends: tuple[socket.socket, ClientSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_PATIENCE_SECONDS", 0.05)
    with pytest.raises(TimeoutError):
        ends[1].recv(65536)


def test_a_socket_that_must_not_wait_does_not(ends: tuple[socket.socket, ClientSocket]) -> None:
    theirs, ours = ends
    assert not ours.has_received()
    ours.settimeout(0)
    with pytest.raises(BlockingIOError):
        ours.recv(65536)
    theirs.sendall(b"a")

    assert ours.has_received()
    assert ours.recv(65536) == b"a"


def test_bytes_buy_time_but_not_for_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = pace.Pace()
    deadlines = [progress.deadline]
    for now, count in ((1.0, 0), (1.0, 500), (2.0, 5_000), (10.0, 500_000)):  # noqa: B007
        progress.move(count)
        deadlines.append(progress.deadline)

    assert deadlines == [20.0, 20.0, 21.0, 22.0, 30.0]
