"""Workers write for each other; one that is killed takes no other's additions with it."""

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import requests

from tests.chroma_server import ChromaServer
from tests.production.conftest import Start
from tests.production.memapp_server import MemappServer

CLIENTS = 12
BETWEEN_KILLS = 40
DEADLINE = 60.0


class _Adder(threading.Thread):
    """A client that adds one memory after the other; what was cut off it adds again."""

    def __init__(self, server: MemappServer, name: str, stop: threading.Event) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self._server, self._name, self._stop_asked = server, name, stop

    def run(self) -> None:
        number = 0
        while not self._stop_asked.is_set():
            text = f"{self._name} saw heron {number}"
            try:
                status = str(self._server.write(text).status_code)
            except requests.ConnectionError:
                self.outcomes["cut off"] += 1
                continue
            self.outcomes[status] += 1
            if status in {"200", "201"}:
                self.acknowledged.append(text)
                number += 1


def test_a_killed_worker_takes_no_addition_with_it(chroma: ChromaServer, new_server: Start) -> None:
    environ = {"CHROMA_MODE": "http", "CHROMA_HOST": chroma.host, "CHROMA_PORT": str(chroma.port)}
    server = new_server({**environ, "MEMAPP_EMBEDDER": "hash"}, "-w", "4")
    server.start(until="/health/ready")
    stop = threading.Event()
    adders = [_Adder(server, f"client {n}", stop) for n in range(CLIENTS)]
    for adder in adders:
        adder.start()
    try:
        # One of them writes for the others, whichever it is.
        for worker in _workers(server):
            _wait_for_more(adders)
            os.kill(worker, signal.SIGKILL)
        _wait_for_more(adders)
    finally:
        stop.set()
        for adder in adders:
            adder.join()

    outcomes = sum((adder.outcomes for adder in adders), Counter())
    assert outcomes.keys() <= {"200", "201", "cut off"}, outcomes
    stored = Counter(_all_texts(server))
    assert set(stored.values()) == {1}
    assert {text for adder in adders for text in adder.acknowledged} <= stored.keys()


def _workers(server: MemappServer) -> list[int]:
    assert server.process is not None
    master = server.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii")
    return [int(one) for one in children.split()]


def _wait_for_more(adders: list[_Adder]) -> None:
    enough = sum(len(adder.acknowledged) for adder in adders) + BETWEEN_KILLS
    deadline = time.monotonic() + DEADLINE
    while sum(len(adder.acknowledged) for adder in adders) < enough:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _all_texts(server: MemappServer) -> list[str]:
    found: list[str] = []
    cursor: str | None = ""
    headers = {"Authorization": f"Bearer {server.key}"}
    while cursor is not None:
        asked = {"user_id": "ann", "limit": "200", **({"cursor": cursor} if cursor else {})}
        answer = requests.get(
            f"{server.url}/v1/memories", params=asked, headers=headers, timeout=30
        )
        answer.raise_for_status()
        page = answer.json()
        found += [memory["text"] for memory in page["data"]]
        cursor = page["next_cursor"]
    return found
