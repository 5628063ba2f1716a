"""When Chroma is down, killed, frozen or refuses, memapp says so at once and recovers by itself."""

import time
from typing import Any

import pytest
import requests

from tests.chroma_server import ChromaServer, free_port
from tests.production.checking import PATIENCE, WITHOUT_END, Check, wrongs
from tests.production.conftest import Start
from tests.production.gate import Gate, new_token
from tests.production.memapp_server import MemappServer, behind

pytestmark = pytest.mark.timeout(240)

AT_ONCE = 6.0
"""Seconds: the two that memapp promises, and more for a machine that is busy with tests."""


def assert_unavailable(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) >= 1
    assert response.elapsed.total_seconds() < AT_ONCE
    problem: dict[str, Any] = response.json()
    assert problem["code"] == "chroma_unavailable"
    return problem


def test_memapp_starts_without_chroma_and_finds_it_later(
    chroma: ChromaServer, gate: Gate, new_server: Start
) -> None:
    chroma.stop()
    server = new_server(behind(gate), "-w", "2")
    server.start(until="/health")
    for _ in range(4):
        assert_unavailable(requests.get(f"{server.url}/health/ready", timeout=30))
        assert_unavailable(requests.get(f"{server.url}/health/chromadb", timeout=30))
        assert_unavailable(server.write("too early"))
    chroma.start()
    server.wait_for("/health/ready")
    assert server.write("in time").status_code == 201
    assert "Traceback" not in server.log()


def test_a_frozen_chroma_is_noticed_at_once_and_used_again_when_it_thaws(
    chroma: ChromaServer, gate: Gate, new_server: Start
) -> None:
    server = new_server(behind(gate), "-w", "2")
    server.start(until="/health/ready")
    assert server.write("the heron stands still").status_code == 201
    chroma.freeze()
    try:
        for _ in range(3):
            assert_unavailable(requests.get(f"{server.url}/health/ready", timeout=30))
            assert_unavailable(server.write("nobody hears this"))
        assert requests.get(f"{server.url}/health", timeout=30).status_code == 200
    finally:
        chroma.thaw()
    server.wait_for("/health/ready")
    assert server.find("the heron stands still") == "the heron stands still"
    assert "Traceback" not in server.log()


def test_nothing_acknowledged_is_lost_while_chroma_is_killed_and_frozen(
    chroma: ChromaServer, gate: Gate, new_server: Start
) -> None:
    server = new_server(behind(gate), "-w", "4")
    server.start(until="/health/ready")
    check = Check(server, more=f"{WITHOUT_END} --patience {PATIENCE}")
    try:
        check.wait_for_load()
        _outage(chroma.kill, chroma.start, server)
        _outage(chroma.freeze, chroma.thaw, server)
        report = check.finish()
    finally:
        check.stop()
    assert wrongs(report) == {}
    assert report["unavailable"] > 0
    assert report["slowest_unavailable"] < AT_ONCE
    assert "Traceback" not in server.log()


def _outage(begin: Any, end: Any, server: MemappServer) -> None:
    """Let clients meet an outage, and be served again after it."""
    begin()
    deadline = time.monotonic() + 30
    while server.status("/health/ready") != 503:
        assert time.monotonic() < deadline
    time.sleep(1)
    end()
    server.wait_for("/health/ready")


def test_a_refused_token_is_told_apart_from_an_outage_in_the_log(
    gate: Gate, new_server: Start
) -> None:
    wrong = new_token()
    server = new_server({**behind(gate), "CHROMA_AUTH_TOKEN": wrong}, "-w", "1")
    server.start(until="/health")
    problem = assert_unavailable(server.write("never"))
    assert "token" not in problem["detail"]
    assert "refuses memapp's token: check CHROMA_AUTH_TOKEN" in server.log()
    assert wrong not in server.log()
    assert gate.token not in server.log()
    assert "Traceback" not in server.log()


def test_the_gate_is_seen_to_refuse_strangers(
    chroma: ChromaServer, gate: Gate, new_server: Start
) -> None:
    guarded = new_server(behind(gate), "-w", "1")
    open_door = new_server({**behind(gate), "CHROMA_PORT": str(chroma.port)}, "-w", "1")
    for server, auth in ((guarded, "enforced"), (open_door, "not_enforced")):
        server.start(until="/health/ready")
        answer = requests.get(f"{server.url}/health/chromadb", timeout=30)
        assert answer.json()["auth"] == auth
    assert "lets wrong tokens in" in open_door.log()
    assert "lets wrong tokens in" not in guarded.log()


def test_a_gate_without_chroma_is_an_outage(new_server: Start, tmp_path_factory: Any) -> None:
    gate = Gate(tmp_path_factory.mktemp("gate"), chroma_port=free_port())
    gate.start()
    try:
        server = new_server(behind(gate), "-w", "1")
        server.start(until="/health")
        assert_unavailable(server.write("never"))
        assert "the proxy in front of Chroma cannot reach it" in server.log()
    finally:
        gate.stop()
