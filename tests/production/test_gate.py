"""The gate lets the token's holder do everything, and a stranger nothing."""

import gc
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import requests
from chromadb.api import ClientAPI
from chromadb.errors import ChromaAuthError, ChromaError

from memapp.backends.http import HttpChroma, connect
from memapp.chroma_config import ChromaConfig
from tests.chroma_server import ChromaServer, free_port
from tests.production.gate import NGINX_FILES, Gate, Nginx, find_nginx, new_token, render

TENANTS = "/api/v2/tenants/default_tenant"


@pytest.fixture(scope="module")
def gate(chroma_server: ChromaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    chroma_server.start()
    gate = Gate(tmp_path_factory.mktemp("gate"), chroma_port=chroma_server.port)
    gate.start()
    yield gate
    gate.stop()


@contextmanager
def client(gate: Gate, token: str, header: str = "Authorization") -> Iterator[ClientAPI]:
    config = ChromaConfig(host="127.0.0.1", port=gate.port, token=token, token_header=header)
    reached = connect(config)
    assert isinstance(reached, HttpChroma)
    with closing(reached):
        yield reached


@pytest.mark.parametrize("header", ["Authorization", "X-Chroma-Token"])
def test_chromas_client_with_the_token_reads_and_writes(gate: Gate, header: str) -> None:
    with client(gate, gate.token, header) as reached:
        collection = reached.create_collection(f"gate-{header.lower()}", embedding_function=None)
        vector = np.array([[1, 0]], dtype=np.float32)
        collection.upsert(ids=["a"], embeddings=vector, documents=["text"])
        assert collection.query(query_embeddings=vector, n_results=1)["ids"] == [["a"]]
        collection.delete(ids=["a"])
        assert collection.count() == 0
        reached.delete_collection(collection.name)


# Chroma's client leaves its sockets to the garbage collector when its constructor fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_chromas_client_understands_the_refusal(gate: Gate) -> None:
    with pytest.raises(ChromaAuthError, match="Unauthorized"), client(gate, new_token()):
        pass
    gc.collect()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "{token}"},
        {"Authorization": "bearer {token}"},
        {"Authorization": "Bearer {upper}"},
        {"Authorization": "Bearer {shorter}"},
        {"Authorization": "Bearer {token}0"},
        {"Authorization": "Bearer {token} {token}"},
        {"Authorization": "Basic {token}"},
        {"X-Chroma-Token": ""},
        {"X-Chroma-Token": "{upper}"},
        {"X-Chroma-Token": "{shorter}"},
        {"X-Chroma-Token": "Bearer {token}"},
        {"X_Chroma_Token": "{token}"},
        {"Cookie": "{token}"},
    ],
)
def test_a_stranger_is_refused_in_chromas_own_words(gate: Gate, headers: dict[str, str]) -> None:
    words = {"token": gate.token, "upper": gate.token.upper(), "shorter": gate.token[:-1]}
    sent = {name: value.format_map(words) for name, value in headers.items()}
    answer = requests.get(gate.url + TENANTS, headers=sent, timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {"error": "AuthError", "message": "Unauthorized"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/heartbeat/../tenants/default_tenant",
        "/api/v2/heartbeat/..%2ftenants/default_tenant",
        "/api/v2//tenants/default_tenant",
        "//api/v2/tenants/default_tenant",
        "/api/v2/heartbeat;/../tenants/default_tenant",
        "/api/v2/heartbeat/",
        "/API/V2/tenants/default_tenant",
        "/api/v2/version",
        "/api/v2/auth/identity",
        "/api/v2/pre-flight-checks",
        "/api/v2/healthcheck",
        "/api/v1/heartbeat",
        "/docs",
        "/openapi.json",
        "/",
    ],
)
def test_no_path_leads_a_stranger_past_the_gate(gate: Gate, path: str) -> None:
    raw = f"GET {path} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n"
    assert _status_of(gate.port, raw) in {400, 401, 404}


def test_the_heartbeat_is_open_for_reading_only(gate: Gate) -> None:
    url = f"{gate.url}/api/v2/heartbeat"
    assert requests.get(url, timeout=10).status_code == 200
    assert requests.post(url, timeout=10).status_code == 403


def test_nobody_resets_chroma_through_the_gate(gate: Gate) -> None:
    headers = {"Authorization": f"Bearer {gate.token}"}
    answer = requests.post(f"{gate.url}/api/v2/reset", headers=headers, timeout=10)
    assert answer.status_code == 403
    assert answer.json()["error"] == "AuthorizationError"


def test_a_batch_of_eleven_megabytes_passes(gate: Gate) -> None:
    vectors = np.random.default_rng(0).random((5000, 400), dtype=np.float32)
    with client(gate, gate.token) as reached:
        collection = reached.create_collection("gate-large", embedding_function=None)
        collection.upsert(ids=[str(n) for n in range(5000)], embeddings=vectors)
        assert collection.count() == 5000
        reached.delete_collection(collection.name)


def test_a_body_over_chromas_limit_is_refused_as_json(gate: Gate) -> None:
    answer = requests.post(
        f"{gate.url}{TENANTS}/databases",
        data=b" " * (41 * 1024 * 1024 + 1),
        headers={"Authorization": f"Bearer {gate.token}"},
        timeout=30,
    )
    assert answer.status_code == 413
    assert answer.json()["error"] == "BatchSizeExceededError"


def test_chromas_own_answers_pass_unchanged(gate: Gate) -> None:
    answer = requests.get(
        f"{gate.url}/api/v2/tenants/nobody",
        headers={"X-Chroma-Token": gate.token},
        timeout=10,
    )
    assert answer.status_code == 404
    assert answer.json()["error"] == "NotFoundError"
    assert "nobody" in answer.json()["message"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_chroma_the_gate_answers_503_as_json(tmp_path: Path) -> None:
    gate = Gate(tmp_path, chroma_port=free_port())
    gate.start()
    try:
        answer = requests.get(
            gate.url + TENANTS, headers={"X-Chroma-Token": gate.token}, timeout=10
        )
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["error"] == "ChromaError"
        with pytest.raises(ChromaError, match="upstream unavailable"), client(gate, gate.token):
            pass
        gc.collect()
    finally:
        gate.stop()


def test_both_tokens_pass_while_one_replaces_the_other(
    chroma_server: ChromaServer, tmp_path: Path
) -> None:
    old, new = new_token(), new_token()
    gate = Gate(tmp_path, chroma_port=chroma_server.port, token=new, previous=old)
    gate.start()
    try:
        for header, start in (("Authorization", "Bearer "), ("X-Chroma-Token", "")):
            for token, status in ((old, 200), (new, 200), (new_token(), 401)):
                answer = requests.get(
                    gate.url + TENANTS, headers={header: start + token}, timeout=10
                )
                assert answer.status_code == status
    finally:
        gate.stop()


def test_a_tokens_punctuation_is_taken_literally(
    chroma_server: ChromaServer, tmp_path: Path
) -> None:
    token = "aa.bb+cc/dd~ee_ff-gg=hh.ii+jj/kk~ll=="
    gate = Gate(tmp_path, chroma_port=chroma_server.port, token=token)
    gate.start()
    try:
        for asked, status in ((token, 200), (token.replace(".", "x"), 401)):
            headers = {"Authorization": f"Bearer {asked}"}
            answer = requests.get(gate.url + TENANTS, headers=headers, timeout=10)
            assert answer.status_code == status
    finally:
        gate.stop()


@pytest.mark.parametrize("length", [32, 64, 600])
def test_tokens_of_every_length_pass(
    chroma_server: ChromaServer, tmp_path: Path, length: int
) -> None:
    gate = Gate(tmp_path, chroma_port=chroma_server.port, token="7" * length)
    gate.start()
    try:
        headers = {"Authorization": f"Bearer {gate.token}"}
        assert requests.get(gate.url + TENANTS, headers=headers, timeout=10).status_code == 200
    finally:
        gate.stop()


def test_with_the_example_for_tls_the_gate_speaks_it(
    chroma_server: ChromaServer, tmp_path: Path
) -> None:
    gate = Gate(tmp_path, chroma_port=chroma_server.port)
    port = free_port()
    example = (NGINX_FILES / "tls.conf.example").read_text()
    (gate.folder / "gate.d" / "tls.conf").write_text(example.replace("8443", f"127.0.0.1:{port}"))
    certificate, key = gate.folder / "gate.d/fullchain.pem", gate.folder / "gate.d/privkey.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=gate"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    gate.start()
    try:
        url = f"https://127.0.0.1:{port}{TENANTS}"
        for token, status in ((gate.token, 200), (new_token(), 401)):
            headers = {"Authorization": f"Bearer {token}"}
            answer = requests.get(url, headers=headers, timeout=10, verify=str(certificate))
            assert answer.status_code == status
    finally:
        gate.stop()


@pytest.mark.parametrize(
    ("name", "token", "reason"),
    [
        ("CHROMA_AUTH_TOKEN", "", "is not set"),
        ("CHROMA_AUTH_TOKEN", "0" * 31, "shorter than 32"),
        ("CHROMA_AUTH_TOKEN", "0" * 40 + " 0", "no space"),
        ("CHROMA_AUTH_TOKEN", "0" * 40 + "\n", "no newline"),
        ("CHROMA_AUTH_TOKEN", "0" * 40 + '"; return 200; #', "may hold only"),
        ("CHROMA_AUTH_TOKEN", "0" * 40 + "\\E.*", "may hold only"),
        ("CHROMA_AUTH_TOKEN", "0" * 40 + "$host", "may hold only"),
        ("GATE_PREVIOUS_TOKEN", "0" * 31, "shorter than 32"),
    ],
)
def test_a_token_that_would_weaken_the_gate_stops_its_start(
    name: str, token: str, reason: str
) -> None:
    environ = {"PATH": os.environ["PATH"], "CHROMA_AUTH_TOKEN": "0" * 64, name: token}
    for script in ("check-token.sh", "render.sh"):
        run = subprocess.run(
            [NGINX_FILES / script], env=environ, check=False, capture_output=True, text=True
        )
        assert run.returncode == 1
        assert run.stdout == ""
        assert run.stderr.count("\n") == 1
        assert name in run.stderr
        assert reason in run.stderr
        assert "openssl rand -hex 32" in run.stderr
        assert not token or token not in run.stderr


def test_the_rendered_gate_leaves_no_placeholder_and_no_warning(tmp_path: Path) -> None:
    rendered = render(new_token(), {"GATE_LISTEN": f"127.0.0.1:{free_port()}"})
    assert "${" not in rendered
    nginx = Nginx(tmp_path, rendered, port=0)
    command = [find_nginx(), "-t", "-p", f"{nginx.folder}/", "-c", "nginx.conf", "-e", "stderr"]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "[warn]" not in run.stderr


def _status_of(port: int, request: str) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())
        return int(connection.makefile("rb").readline().split()[1])
