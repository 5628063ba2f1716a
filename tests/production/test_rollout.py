"""New versions and new settings come in under load, and no client notices."""

import signal
import time
from pathlib import Path

import pytest
import requests

from tests.chroma_server import free_port
from tests.production.checking import WITHOUT_END, Check, wrongs
from tests.production.conftest import Start
from tests.production.gate import Gate, Nginx
from tests.production.memapp_server import MemappServer, behind

pytestmark = pytest.mark.timeout(240)

BALANCER = """
upstream memapp {{
    server 127.0.0.1:{first} max_fails=0;
    server 127.0.0.1:{second} max_fails=0;
    keepalive 8;
}}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://memapp;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
    }}
}}
"""


def test_restarting_one_of_two_at_a_time_fails_no_request(
    gate: Gate, new_server: Start, tmp_path: Path
) -> None:
    environ = {**behind(gate), "MEMAPP_DRAIN_SECONDS": "1"}
    first = new_server(environ, "-w", "2", "--preload")
    second = new_server(environ, "-w", "2", "--preload", key=first.key)
    port = free_port()
    configuration = BALANCER.format(first=first.port, second=second.port, port=port)
    balancer = Nginx(tmp_path / "balancer", configuration, port=port)
    for server in (first, second):
        server.start(until="/health/ready")
    balancer.start()
    check = Check(balancer.url, key=first.key, more=WITHOUT_END)
    try:
        check.wait_for_load()
        for server in (first, second):
            assert server.stop() == 0
            server.start(until="/health/ready")
        report = check.finish()
    finally:
        check.stop()
        balancer.stop()
    assert wrongs(report) == {}
    assert len(report["workers"]) > 4


def test_memapp_says_that_it_is_about_to_stop_and_serves_on(gate: Gate, new_server: Start) -> None:
    server = new_server({**behind(gate), "MEMAPP_DRAIN_SECONDS": "300"}, "-w", "1")
    server.start(until="/health/ready")
    server.send(signal.SIGTERM)
    deadline = time.monotonic() + 20
    while (answer := requests.get(f"{server.url}/health/ready", timeout=10)).status_code != 503:
        assert time.monotonic() < deadline
    assert answer.json()["code"] == "draining"
    assert server.write("still here").status_code == 201
    assert server.status("/health") == 200
    assert server.stop() == 0


def test_reloading_twice_fails_no_request(gate: Gate, new_server: Start) -> None:
    server = new_server(behind(gate), "-w", "2")
    server.start(until="/health/ready")
    check = Check(server, more=WITHOUT_END)
    try:
        check.wait_for_load()
        for workers in (4, 6):
            server.send(signal.SIGHUP)
            _wait_for_boots(server, workers)
        report = check.finish()
    finally:
        check.stop()
    assert wrongs(report) == {}
    assert len(report["workers"]) >= 4


def test_workers_that_are_replaced_after_max_requests_fail_no_request(
    gate: Gate, new_server: Start
) -> None:
    limits = ("--max-requests", "50", "--max-requests-jitter", "20")
    server = new_server(behind(gate), "-w", "2", *limits)
    server.start(until="/health/ready")
    report = Check(server, more="--writes 20").report()
    assert wrongs(report) == {}
    assert len(report["workers"]) >= 4


def _wait_for_boots(server: MemappServer, number: int) -> None:
    deadline = time.monotonic() + 60
    while server.log().count("Booting worker") < number:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)
    server.wait_for("/health/ready")
