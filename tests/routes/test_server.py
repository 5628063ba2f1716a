"""The API under a real gunicorn: what only a real connection can show."""

import json
import socket
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import requests

from tests.production.memapp_server import MemappServer

JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemappServer]:
    """memapp with an embedded Chroma and without keys."""
    environ = {
        "ENV_FOR_DYNACONF": "development",
        "MEMAPP_AUTH": "off",
        "MEMAPP_API_KEYS": "",
        "MEMAPP_EMBEDDER": "hash",
    }
    started = MemappServer(tmp_path_factory.mktemp("server"), environ, arguments=("-w", "1"))
    started.start()
    yield started
    started.stop()


pytestmark = pytest.mark.xdist_group("routes-server")


def _exchange(server: MemappServer, request: bytes) -> tuple[int, dict[str, object]]:
    """Send bytes, end the sending side, and return the status and the JSON of the answer."""
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_body_that_is_cut_off_stores_nothing_although_it_looks_whole(
    server: MemappServer,
) -> None:
    body = b'{"user_id": "cut-off", "text": "never stored"}'
    head = b"POST /v1/memories HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    promised = b"Content-Length: 1000\r\n\r\n" + body
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(body), body)
    for rest in (promised, chunked):
        status, problem = _exchange(server, head + rest)
        assert (status, problem["code"]) == (400, "incomplete_body")
    assert (
        requests.get(f"{server.url}/v1/memories?user_id=cut-off", timeout=10).json()["data"] == []
    )


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"5;a=b\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcXX0",
        b"0\r\n:\r\n\r\n",
    ],
    ids=["size", "negative size", "too little", "no end", "trailer"],
)
def test_a_body_that_is_badly_cut_into_chunks_is_the_callers_fault(
    server: MemappServer, body: bytes
) -> None:
    head = b"POST /v1/memories HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

    status, problem = _exchange(server, head + b"Transfer-Encoding: chunked\r\n\r\n" + body)

    assert (status, problem["code"]) == (400, "incomplete_body")
    assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (b"rubbish\r\n\r\n", 400, "malformed_request"),
        (b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n", 400, "malformed_request"),
        (b"GET /health?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431, "headers_too_large"),
        (
            b"POST /v1/memories HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
            501,
            "not_implemented",
        ),
        (b"GET /health HTTP/1.1\r\nExpect: rain\r\n\r\n", 417, "expectation_failed"),
    ],
    ids=["no HTTP", "broken header", "long line", "long header", "coding", "expectation"],
)
def test_what_cannot_be_read_as_http_gets_a_problem_too(
    server: MemappServer, request_: bytes, status: int, code: str
) -> None:
    answered, problem = _exchange(server, request_)

    assert (answered, problem["code"]) == (status, code)
    assert (problem["status"], problem["title"]) == (status, HTTPStatus(status).phrase)
    assert "rubbish" not in str(problem)


@pytest.mark.parametrize("prefix", ["/zzz", "/health"])
def test_a_header_of_the_callers_does_not_change_the_path(
    server: MemappServer, prefix: str
) -> None:
    headers = {"SCRIPT_NAME": prefix, "PATH_INFO": "/nowhere"}

    assert requests.get(f"{server.url}/health", headers=headers, timeout=10).status_code == 200


def test_a_long_filter_in_a_query_string_is_read(server: MemappServer) -> None:
    condition = json.dumps({"metadata.tag": {"in": ["x" * 60] * 80}})

    answer = requests.get(
        f"{server.url}/v1/memories", params={"user_id": "u", "filter": condition}, timeout=10
    )

    assert answer.status_code == 200


def test_a_body_in_chunks_is_read_whole(server: MemappServer) -> None:
    chunks = iter([b'{"user_id": "chunks", ', b'"text": "in two parts"}'])
    url = f"{server.url}/v1/memories"
    response = requests.post(url, data=chunks, headers=JSON, timeout=10)
    assert (response.status_code, response.headers["Connection"]) == (201, "keep-alive")


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity, chunked"])
def test_a_body_in_a_further_coding_is_refused(server: MemappServer, coding: bytes) -> None:
    body = b'{"user_id": "coding", "text": "taken as it is"}'
    head = b"POST /v1/memories HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    status, problem = _exchange(
        server, head + b"Transfer-Encoding: " + coding + b"\r\n\r\n" + chunks
    )

    assert (status, problem["code"]) == (501, "not_implemented")


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_body_that_is_too_large_gets_an_answer_and_no_broken_connection(
    server: MemappServer,
    is_chunked: bool,  # noqa: FBT001
) -> None:
    body = b" " * 20 * MIB
    data = (body[n : n + MIB] for n in range(0, len(body), MIB)) if is_chunked else body
    response = requests.post(f"{server.url}/v1/memories", data=data, headers=JSON, timeout=30)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert response.headers["Connection"] == "close"


def test_an_answer_says_whether_the_connection_goes_on_when_the_body_was_not_read(
    server: MemappServer,
) -> None:
    said = []
    for body in (b" ", b" " * 64 * 1024, iter([b" "])):
        response = requests.post(f"{server.url}/nowhere", data=body, timeout=10)
        said.append((response.status_code, response.headers["Connection"]))

    assert said == [(404, "keep-alive"), (404, "close"), (404, "close")]


def test_a_whole_upload_is_ingested_and_one_that_is_cut_off_is_not(server: MemappServer) -> None:
    url = f"{server.url}/v1/rag/documents"
    files = {"file": ("notes.md", b"# Notes\n\nTea at four.\n", "text/markdown")}
    prepared = requests.Request("POST", url, files=files, data={"collection": "cut-off"}).prepare()
    body = prepared.body
    assert isinstance(body, bytes)
    head = (
        f"POST /v1/rag/documents HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: {prepared.headers['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    for end in (len(body) - 1, len(body) - 30, len(body) // 2, 60):
        status, problem = _exchange(server, head + body[:end])
        assert (status, problem["code"]) == (400, "incomplete_body")
    status, document = _exchange(server, head + body)
    assert (status, document["revision"]) == (201, 1)


def test_a_document_with_a_path_as_its_id_is_reached_by_its_url(server: MemappServer) -> None:
    body = {"id": "/srv//docs/guide.md", "text": "reached by its path"}
    requests.post(f"{server.url}/v1/rag/documents", json=body, timeout=10).raise_for_status()
    path = "/v1/rag/documents/%2Fsrv%2F%2Fdocs%2Fguide.md"
    assert requests.get(server.url + path, timeout=10).json()["id"] == "/srv//docs/guide.md"


def test_the_log_has_every_request_with_its_id(server: MemappServer) -> None:
    requests.get(f"{server.url}/health", headers={"X-Request-ID": "find-me"}, timeout=10)
    lines = [line for line in server.log().splitlines() if "[find-me]" in line]
    assert len(lines) == 1
    assert "memapp.access: GET /health 200" in lines[0]
