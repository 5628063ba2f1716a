"""A request that is called whole is read without waiting, and one that is not, is not."""

import socket
import time

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from memapp.arrivals import Arrival
from tests.test_plain_requests import OTHERS, PLAIN, SEARCH

UPLOAD = b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n"


def _would_wait(received: bytes) -> bool:
    """Tell whether gunicorn would wait for more of a request, of which so much has come."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)  # noqa: FBT003
        parser = RequestParser(Config(), theirs, ("127.0.0.1", 5000))
        parser.unreader.unread(received)
        try:
            next(parser).body.read()
        except BlockingIOError:
            return True
        except (ParseException, StopIteration):
            return False
    return False


def _arrived(received: bytes) -> Arrival:
    arrival = Arrival(b"")
    for place in range(len(received)):
        arrival.add(received[place : place + 1])
    return arrival


@settings(max_examples=500, deadline=None)
@given(
    request=st.sampled_from([*PLAIN.values(), *OTHERS.values()]),
    place=st.integers(0, 400),
    inserted=st.binary(max_size=3)
    | st.sampled_from([b"\r\n", b"\r", b"\n", b":", b" ", b"\t", b"0", b"9", b"+", b"_"]),
    removed=st.integers(0, 3),
    length=st.integers(0, 400),
)
def test_gunicorn_does_not_wait_for_more_of_what_is_called_whole(
    request: bytes, place: int, inserted: bytes, removed: int, length: int
) -> None:
    place = min(place, len(request))
    received = (request[:place] + inserted + request[place + removed :])[: length or None]

    for arrival in (Arrival(received), _arrived(received)):
        assert arrival.is_awaited or arrival.is_long or not _would_wait(received)


@pytest.mark.parametrize(
    "received",
    [
        b"GET / HTTP/1.2\r\nX: ",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"0" * 20 + b"9\r\n\r\n{",
    ],
    ids=["minor version", "zeros"],
)
def test_what_gunicorn_would_wait_for_is_awaited(received: bytes) -> None:
    assert _would_wait(received)
    for arrival in (Arrival(received), _arrived(received)):
        assert arrival.is_awaited


@pytest.mark.parametrize("length", range(len(SEARCH)))
def test_a_part_of_a_request_is_awaited_whole(length: int) -> None:
    arrival = _arrived(SEARCH[:length])

    assert arrival.is_awaited
    arrival.add(SEARCH[length:])
    assert not arrival.is_awaited
    assert not arrival.is_long


@pytest.mark.parametrize(
    "received",
    [
        UPLOAD,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"rubbish\r\n",
        b"\r\n\r\n",
        b"GET /" + b"a" * 9000,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000,
    ],
    ids=["upload", "chunks", "expectation", "length", "rubbish", "empty", "line", "head"],
)
def test_what_cannot_be_awaited_whole_is_long(received: bytes) -> None:
    for arrival in (Arrival(received), _arrived(received)):
        assert arrival.is_long
        assert not arrival.is_awaited


def test_a_body_that_comes_byte_by_byte_takes_time_in_proportion_to_its_length() -> None:
    body = b"x" * 60_000
    begin = time.thread_time()

    arrival = _arrived(b"POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + body)

    assert time.thread_time() - begin < 2
    assert not arrival.is_awaited
    assert arrival.received.endswith(body)
