"""Plain requests are read as gunicorn reads them, and all others by gunicorn itself."""

import socket

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from memapp.plain_requests import PlainParser, PlainRequest

FIRST = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

SEARCH = (
    b"POST /v1/memories/search HTTP/1.1\r\nHost: memapp.example:8080\r\nUser-Agent: a/1.0\r\n"
    b"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
    b"Authorization: Bearer k-1\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n{1:2"
)


def _fields(count: int) -> bytes:
    return b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(count)) + b"\r\n"


PLAIN = {
    "a search": SEARCH,
    "no body": b"GET /v1/memories?user_id=a%20b&x=?y HTTP/1.1\r\nHost: x\r\n\r\n",
    "no header": b"GET / HTTP/1.1\r\n\r\n",
    "an empty field": b"GET / HTTP/1.1\r\nX-Empty:\r\n\r\n",
    "white space around": b"GET / HTTP/1.1\r\nHost: \t x \t \r\n\r\n",
    "an empty body": b"DELETE /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "a scheme": b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\n\r\n",
    "two schemes that agree": (
        b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\n\r\n"
    ),
}

OTHERS = {
    "two requests at once": SEARCH + FIRST,
    "a body in chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "an expectation": b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    "the last one": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "an upgrade": b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
    "HEAD": b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "two slashes": b"GET //a/b HTTP/1.1\r\nHost: x\r\n\r\n",
    "an absolute target": b"GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n",
    "a field twice": b"GET / HTTP/1.1\r\nX: 1\r\nX: 2\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a negative length": b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "a length with a sign": b"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
    "a length with a zero": b"GET / HTTP/1.1\r\nContent-Length: 01\r\n\r\na",
    "chunks and a length": (
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na"
    ),
    "an underscore": b"GET / HTTP/1.1\r\nContent_Length: 1\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "a folded field": b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nHost: x\n\r\n\r\n",
    "a control character": b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    "a carriage return": b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
    "a letter beyond ASCII": b"GET / HTTP/1.1\r\nX: \xe9t\xe9\r\n\r\n",
    "a target beyond ASCII": b"GET /\xe9t\xe9 HTTP/1.1\r\nX: a\r\n\r\n",
    "an empty line first": b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "schemes that differ": (
        b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n"
    ),
    "many fields": _fields(70),
    "too many fields": _fields(120),
    "a long field": b"GET / HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
    "a field too long": b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    "a body cut off": b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
    "a head cut off": b"POST / HTTP/1.1\r\nContent-Le",
    "nothing": b"",
    "rubbish": b"rubbish\r\n\r\n",
}


def _read(
    sent: bytes, *, plainly: bool, peer: str = "127.0.0.1", config: dict[str, int] | None = None
) -> object:
    """Send a connection's second request; return what is read of it, or what kind of fault."""
    cfg = Config()
    for name, value in (config or {}).items():
        cfg.set(name, value)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(FIRST)
        parser = RequestParser(cfg, theirs, (peer, 5000))
        next(parser)
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        if plainly:
            parser = PlainParser(parser)
            _foresee(parser, theirs)
        try:
            request = next(parser)
            body = request.body.read()
            rest = parser.unreader.buf.getvalue()
        except (ParseException, StopIteration, OSError) as error:
            return type(error)
        return (
            request.method,
            request.uri,
            request.path,
            request.query,
            request.version,
            request.scheme,
            request.headers,
            request.should_close(),
            request.req_number,
            body,
            rest,
        )


def _foresee(parser: PlainParser, received_by: socket.socket) -> bool:
    received = received_by.recv(65536)
    is_foreseen = parser.foresee(received)
    if not is_foreseen:
        parser.unreader.unread(received)
    return is_foreseen


@pytest.mark.parametrize("name", [*PLAIN, *OTHERS])
def test_any_request_is_read_as_gunicorn_reads_it(name: str) -> None:
    sent = (PLAIN | OTHERS)[name]

    for peer in ("127.0.0.1", "203.0.113.9"):
        assert _read(sent, plainly=True, peer=peer) == _read(sent, plainly=False, peer=peer)


@settings(max_examples=300, deadline=None)
@given(
    request=st.sampled_from([*PLAIN.values(), *OTHERS.values()]),
    place=st.integers(0, 400),
    inserted=st.binary(max_size=3) | st.sampled_from([b"\r\n", b"\r", b"\n", b":", b" ", b"\t"]),
    removed=st.integers(0, 3),
)
def test_a_damaged_request_is_read_as_gunicorn_reads_it(
    request: bytes, place: int, inserted: bytes, removed: int
) -> None:
    place = min(place, len(request))
    sent = request[:place] + inserted + request[place + removed :]

    assert _read(sent, plainly=True) == _read(sent, plainly=False)


@pytest.mark.parametrize("limit", ["limit_request_line", "limit_request_field_size"])
def test_limits_of_gunicorn_hold(limit: str) -> None:
    sent = b"GET /" + b"a" * 30 + b" HTTP/1.1\r\nX: " + b"b" * 60 + b"\r\n\r\n"

    read = _read(sent, plainly=True, config={limit: 40})

    assert read == _read(sent, plainly=False, config={limit: 40})
    assert isinstance(read, type)
    assert issubclass(read, ParseException)


def _connection() -> tuple[socket.socket, socket.socket, PlainParser]:
    ours, theirs = socket.socketpair()
    ours.sendall(FIRST)
    first = RequestParser(Config(), theirs, ("127.0.0.1", 5000))
    next(first)
    return ours, theirs, PlainParser(first)


@pytest.mark.parametrize("name", PLAIN)
def test_what_clients_usually_send_is_not_left_to_gunicorn(name: str) -> None:
    ours, theirs, parser = _connection()
    with ours, theirs:
        for _ in range(2):
            ours.sendall(PLAIN[name])
            assert _foresee(parser, theirs)
            assert isinstance(next(parser), PlainRequest)


@pytest.mark.parametrize("length", [0, 10, len(SEARCH) - 4, len(SEARCH) - 1])
def test_a_request_of_which_more_is_to_come_is_not_foreseen(length: int) -> None:
    ours, theirs, parser = _connection()
    with ours, theirs:
        assert not parser.foresee(SEARCH[:length])
        assert parser.foresee(SEARCH)


def test_a_plain_request_follows_one_that_gunicorn_read() -> None:
    ours, theirs, parser = _connection()
    with ours, theirs:
        ours.sendall(OTHERS["a body in chunks"])
        assert not _foresee(parser, theirs)
        assert not isinstance(next(parser), PlainRequest)
        ours.sendall(SEARCH)

        assert _foresee(parser, theirs)
        assert isinstance(next(parser), PlainRequest)
