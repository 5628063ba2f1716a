"""Answers are gunicorn's, in fewer packets."""

from email.utils import formatdate
from types import SimpleNamespace

import pytest
from gunicorn.config import Config
from gunicorn.http.wsgi import Response

from memapp.quick_answers import QuickResponse, http_date


class _Socket:
    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.packets.append(data)


def _packets(
    kind: type[Response], method: str, status: str, headers: list[tuple[str, str]], *parts: bytes
) -> list[bytes]:
    request = SimpleNamespace(method=method, version=(1, 1), body=None, should_close=lambda: False)
    socket = _Socket()
    response = kind(request, socket, Config())
    response.start_response(status, headers)
    for part in parts:
        response.write(part)
    response.close()
    return socket.packets


def test_head_and_body_come_in_one_packet() -> None:
    packets = _packets(QuickResponse, "GET", "200 OK", [("Content-Length", "3")], b"abc")

    assert len(packets) == 1
    assert packets[0].endswith(b"Content-Length: 3\r\n\r\nabc")


@pytest.mark.parametrize(
    ("method", "status", "headers", "parts"),
    [
        ("GET", "200 OK", [("Content-Length", "3"), ("X-A", "\xe9t\xe9")], [b"abc"]),
        ("GET", "200 OK", [("Content-Length", "3")], [b"ab", b"c"]),
        ("GET", "200 OK", [("Content-Length", "2")], [b"abc"]),
        ("GET", "200 OK", [("Content-Length", "0")], [b""]),
        ("GET", "200 OK", [], [b"abc", b"de"]),
        ("HEAD", "200 OK", [("Content-Length", "3")], []),
        ("DELETE", "204 NO CONTENT", [], []),
    ],
    ids=["whole", "in parts", "too long", "empty", "stream", "HEAD", "no content"],
)
def test_what_is_sent_is_what_gunicorn_sends(
    method: str,
    status: str,
    headers: list[tuple[str, str]],
    parts: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gunicorn.util.http_date", lambda: "today")

    sent, expected = (
        b"".join(_packets(kind, method, status, headers, *parts))
        for kind in (QuickResponse, Response)
    )

    assert sent == expected


def test_the_date_is_that_of_the_second() -> None:
    for moment in (0.0, 1e9, 1e9 + 0.9, 1e9 + 1):
        assert http_date(moment) == formatdate(int(moment), usegmt=True)
