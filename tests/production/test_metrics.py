"""What real gunicorns tell Prometheus: all that all their workers have counted, dead ones' too."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import requests

from tests import scrapes
from tests.production.conftest import Start
from tests.production.memapp_server import MemappServer

DEADLINE = 60.0
HIDE_THE_LIBRARY = "import sys; sys.modules['prometheus_client'] = None"
ON = {"CHROMA_MODE": "http", "MEMAPP_EMBEDDER": "hash", "MEMAPP_METRICS": "true"}


class Service:
    """A running memapp, and how many requests it has answered."""

    def __init__(self, server: MemappServer) -> None:
        self.server = server
        self.sent = 0
        self.seen: Counter[str] = Counter()

    def ask(self, times: int) -> None:
        """Send requests, each over a new connection, some at a time; count who answered them."""

        def ask(_: int) -> str:
            answer = requests.put(f"{self.server.url}/health", timeout=30)
            assert answer.status_code == 405
            return answer.headers["X-Memapp-Worker"]

        with ThreadPoolExecutor(8) as pool:
            self.seen.update(pool.map(ask, range(times)))
        self.sent += times

    def spread(self, workers: int) -> None:
        """Send requests until so many workers have answered some."""
        deadline = time.monotonic() + DEADLINE
        self.seen.clear()
        while len(self.seen) < workers:
            assert time.monotonic() < deadline, self.seen
            self.ask(40)

    def told(self) -> tuple[str, str]:
        """Scrape; return who answered, and what."""
        headers = {"Authorization": f"Bearer {self.server.key}"}
        answer = requests.get(f"{self.server.url}/metrics", headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.headers["X-Memapp-Worker"], answer.text

    def told_by(self, workers: int) -> dict[str, float]:
        """Scrape until so many workers have answered; return how many requests each told."""
        counts: dict[str, float] = {}
        deadline = time.monotonic() + DEADLINE
        while len(counts) < workers:
            assert time.monotonic() < deadline, counts
            with ThreadPoolExecutor(8) as pool:
                for worker, text in pool.map(lambda _: self.told(), range(16)):
                    assert scrapes.in_progress(text) == 0
                    count = scrapes.answered(text, "unmatched", 405, "PUT")
                    assert counts.setdefault(worker, count) == count
        return counts


@pytest.fixture
def start(new_server: Start, tmp_path: Path) -> Callable[..., Service]:
    """Start a memapp whose workers keep their files in this test's folder."""

    def start(*arguments: str, **environ: str) -> Service:
        server = new_server({**ON, **environ}, "--worker-tmp-dir", str(tmp_path), *arguments)
        server.start()
        return Service(server)

    return start


@pytest.mark.parametrize("arguments", [(), ("--preload",)])
def test_every_worker_tells_what_all_have_answered(
    start: Callable[..., Service], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    theirs = tmp_path / "of-somebody-else"
    theirs.mkdir()
    service = start("-w", "4", *arguments, PROMETHEUS_MULTIPROC_DIR=str(theirs))

    service.spread(workers=4)

    assert set(service.told_by(workers=4).values()) == {service.sent}
    assert list(theirs.iterdir()) == []


def test_what_a_killed_worker_answered_still_counts(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service = start("-w", "4")
    service.spread(workers=4)
    killed = _workers(service.server)
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    _wait_until(partial(_are_replaced, service.server, killed))

    service.spread(workers=4)

    assert set(service.told_by(workers=4).values()) == {service.sent}
    assert _places(tmp_path) == {"0", "1", "2", "3"}


def test_a_request_that_its_worker_took_along_is_no_longer_in_progress(
    start: Callable[..., Service],
) -> None:
    service = start("-w", "1")
    half = (
        "POST /v1/memories HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {service.server.key}\r\nContent-Length: 100000\r\n\r\n{{"
    )
    with socket.create_connection((service.server.host, service.server.port)) as connection:
        connection.sendall(half.encode())
        _wait_until(lambda: scrapes.in_progress(service.told()[1]) == 1)
        os.kill(_workers(service.server)[0], signal.SIGKILL)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    service.server.wait_for("/health")

    assert scrapes.in_progress(service.told()[1]) == 0


def test_counts_outlive_reloads_and_take_no_more_room_for_it(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service = start("-w", "4")
    for _ in range(3):
        service.spread(workers=4)
        before = _workers(service.server)
        service.server.send(signal.SIGHUP)
        _wait_until(partial(_are_replaced, service.server, before))

    service.spread(workers=4)

    assert set(service.told_by(workers=4).values()) == {service.sent}
    assert len(_places(tmp_path)) <= 8


def test_counts_outlive_workers_that_are_replaced_after_max_requests(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service = start("-w", "4", "--max-requests", "30", "--max-requests-jitter", "10")

    service.ask(400)

    assert service.server.log().count("Booting worker") >= 8
    assert scrapes.answered(service.told()[1], "unmatched", 405, "PUT") == service.sent
    assert len(_places(tmp_path)) <= 8


def test_a_reload_turns_it_on(start: Callable[..., Service]) -> None:
    service = start("-w", "2", MEMAPP_METRICS="")
    assert service.server.status("/metrics") == 404
    (service.server.folder / ".env").write_text("MEMAPP_METRICS=true\n")
    service.server.send(signal.SIGHUP)
    _wait_until(lambda: all(service.server.status("/metrics") == 401 for _ in range(20)))

    service.spread(workers=2)

    assert set(service.told_by(workers=2).values()) == {service.sent}


def test_strangers_learn_nothing(start: Callable[..., Service]) -> None:
    service = start("-w", "1")
    answers = [
        requests.get(f"{service.server.url}/metrics", headers=headers, timeout=30)
        for headers in ({}, {"Authorization": "Bearer memapp_wrong"})
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert not any("memapp_http" in answer.text for answer in answers)


def test_nothing_is_left_when_it_has_stopped(start: Callable[..., Service], tmp_path: Path) -> None:
    service = start("-w", "2")
    assert _places(tmp_path) == {"0", "1"}
    assert service.server.stop() == 0
    assert list(tmp_path.glob("memapp-metrics-*")) == []


@pytest.mark.parametrize("arguments", [(), ("--preload",)])
def test_without_the_library_it_is_told_in_one_line_and_nothing_starts(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDE_THE_LIBRARY)
    environ = {"CHROMA_MODE": "http", "MEMAPP_METRICS": "true", "PYTHONPATH": str(tmp_path)}
    server = MemappServer(tmp_path / "served", environ, arguments=("-w", "4", *arguments))
    server.spawn()
    assert server.process is not None
    assert server.process.wait(30) == 1
    first, fault = server.log().splitlines()
    assert first == "invalid configuration:"
    assert "pip install 'memapp[metrics]'" in fault


def test_a_worker_without_room_to_count_serves_all_the_same(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service = start("-w", "1")
    (folder,) = tmp_path.glob("memapp-metrics-*")
    folder.rename(tmp_path / "away")
    (worker,) = _workers(service.server)
    os.kill(worker, signal.SIGKILL)
    _wait_until(lambda: "/metrics will be wrong" in service.server.log())

    service.server.wait_for("/health")

    assert service.told()[0]


def _workers(server: MemappServer) -> list[int]:
    assert server.process is not None
    pid = server.process.pid
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _are_replaced(server: MemappServer, before: list[int]) -> bool:
    now = _workers(server)
    return len(now) == len(before) and not set(now) & set(before)


def _places(parent: Path) -> set[str]:
    """Return the numbers of the places that have files."""
    (folder,) = parent.glob("memapp-metrics-*")
    return {path.stem.rpartition("_")[2] for path in folder.iterdir()}


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
