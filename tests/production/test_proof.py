"""What any worker acknowledged, every worker finds; and the check that says so can fail."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.production.checking import CLIENTS, IS_FULL, WRITES, Check, wrongs
from tests.production.conftest import Start
from tests.production.gate import ROOT, Gate
from tests.production.memapp_server import MemappServer, behind

pytestmark = pytest.mark.timeout(3600 if IS_FULL else 240)

TROUBLE = re.compile("Traceback|database is locked|WORKER TIMEOUT|CRITICAL")


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["plain", "preload"])
def test_four_workers_lose_nothing_and_show_nothing_stale(
    gate: Gate, new_server: Start, preload: tuple[str, ...]
) -> None:
    server = new_server(behind(gate), "-w", "4", *preload)
    server.start(until="/health/ready")
    report = Check(server, more=f"--writes {WRITES} --workers 4").report()
    assert wrongs(report) == {}
    assert report["writes"] == CLIENTS * WRITES
    assert len(report["workers"]) == 4
    assert server.stop() == 0
    assert not TROUBLE.search(server.log())


@pytest.mark.parametrize(
    "settings",
    [{"MEMAPP_ONE_HOST": "true"}, {"MEMAPP_USER_CACHE_BYTES": "0"}],
    ids=["marks of the host", "no user cache"],
)
def test_four_workers_set_up_otherwise_lose_nothing_and_show_nothing_stale(
    gate: Gate, new_server: Start, settings: dict[str, str]
) -> None:
    server = new_server({**behind(gate), **settings}, "-w", "4")
    server.start(until="/health/ready")
    report = Check(server, more=f"--writes {WRITES} --workers 4").report()
    assert wrongs(report) == {}
    assert len(report["workers"]) == 4


def test_two_hosts_with_one_chroma_lose_nothing(gate: Gate, new_server: Start) -> None:
    first = new_server(behind(gate), "-w", "2", host="127.0.0.2")
    second = new_server(behind(gate), "-w", "2", host="127.0.0.3", key=first.key)
    for server in (first, second):
        server.start(until="/health/ready")
    report = Check(first, second, more=f"--writes {WRITES} --workers 4").report()
    assert wrongs(report) == {}
    assert len(report["workers"]) == 4


def test_the_check_convicts_the_naive_design(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    # Four workers that make the folder at once fail to start now and then, which is not the point.
    make = "import chromadb, sys; chromadb.PersistentClient(sys.argv[1])"
    subprocess.run([sys.executable, "-c", make, folder], check=True)
    server = NaiveServer(tmp_path / "naive", folder)
    server.start(until="/v1/memories?user_id=nobody")
    try:
        report = Check(server, more=f"--writes {WRITES} --workers 4").report()
    finally:
        server.stop()
    assert report["findings"]["stale"] > 0
    assert report["findings"]["lost"] + report["findings"]["ghost"] > 0
    assert len(report["workers"]) == 4


class NaiveServer(MemappServer):
    """`gunicorn -w 4` with the naive app, and no configuration file."""

    def __init__(self, folder: Path, data: str) -> None:
        environ = {"NAIVE_FOLDER": data, "PYTHONPATH": str(ROOT)}
        super().__init__(folder, environ, arguments=("-w", "4", "--no-control-socket"))
        (folder / "gunicorn.conf.py").unlink()
        (folder / "wsgi.py").write_text("from tests.production.naive_app import app\n")
