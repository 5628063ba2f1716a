"""When Chroma is down, killed, frozen or refuses, memapp says so at once and recovers by itself."""

import re
import time
from typing import Any

import pytest
import requests

from tests.chroma_server import ChromaServer, free_port
from tests.production.checking import PATIENCE, WITHOUT_END, Check, wrongs
from tests.production.conftest import Start
from tests.production.gate import Gate, new_token
from tests.production.memapp_server import MemappServer, behind
from tests.production.promptness import in_time

pytestmark = pytest.mark.timeout(240)

UNDER_LOAD = 6.0
"""Seconds for the slowest of thousands of answers, while clients and servers share the machine."""


def assert_unavailable(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert int(response.headers["Retry-After"]) >= 1
    problem: dict[str, Any] = response.json()
    assert problem["code"] == "chroma_unavailable"
    return problem


def assert_prompt(server: MemappServer) -> None:
    """See that whatever is asked, of whichever worker, is answered as fast as promised."""
    ready, health = f"{server.url}/health/ready", f"{server.url}/health/chromadb"
    for _ in range(3):
        for _ in in_time():
            assert_unavailable(requests.get(ready, timeout=30))
        for _ in in_time():
            assert_unavailable(requests.get(health, timeout=30))
        for _ in in_time():
            assert_unavailable(server.write("nobody hears this"))
        for _ in in_time():
            assert_unavailable(server.search("nobody answers this"))


def test_a_killed_chroma_is_noticed_at_once_and_used_again_when_it_runs(
    chroma: ChromaServer, gate: Gate, new_server: Start
) -> None:
    server = new_server(behind(gate), "-w", "2")
    server.start(until="/health/ready")
    assert server.write("the heron stands still").status_code == 201
    chroma.kill()
    assert_prompt(server)
    chroma.start()
    server.wait_for("/health/ready")
    assert server.find("the heron stands still") == "the heron stands still"
    assert "Traceback" not in server.log()


def test_memapp_starts_without_chroma_and_finds_it_later(
    chroma: ChromaServer, gate: Gate, new_server: Start
) -> None:
    chroma.stop()
    server = new_server(behind(gate), "-w", "2")
    server.start(until="/health")
    assert_prompt(server)
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
        assert_prompt(server)
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
    assert report["slowest_unavailable"] < UNDER_LOAD
    assert "Traceback" not in server.log()


def _outage(begin: Any, end: Any, server: MemappServer) -> None:
    """Let clients meet an outage, and be served again after it."""
    before = len(server.log())
    begin()
    deadline = time.monotonic() + 30
    while not re.search("access: [A-Z]+ /v1/.* 503", server.log()[before:]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    end()
    server.wait_for("/health/ready")


def test_a_refused_token_is_told_apart_from_an_outage_in_the_log(
    gate: Gate, new_server: Start
) -> None:
    wrong = new_token()
    server = new_server({**behind(gate), "CHROMA_AUTH_TOKEN": wrong}, "-w", "1")
    server.start(until="/health")
    assert_prompt(server)
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
        assert_prompt(server)
        assert "the proxy in front of Chroma cannot reach it" in server.log()
    finally:
        gate.stop()
