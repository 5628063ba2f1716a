"""What a connection leaves to other processes, and what it leaves behind."""

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from chromadb.api import ClientAPI
from chromadb.api.shared_system_client import SharedSystemClient

from memapp.backends import http, persistent
from memapp.chroma.connection import Connection
from memapp.chroma_config import ChromaConfig, Patience
from memapp.errors import StoreUnavailable
from tests.chroma.forking_app import use
from tests.chroma_server import ChromaServer, free_port

ROOT = Path(__file__).parents[2]
DEADLINE = 100

HOLDER = """
import sys, time
from memapp.backends import persistent
from memapp.chroma_config import ChromaConfig
client = persistent.connect(ChromaConfig(path=sys.argv[1]))
print("open", flush=True)
time.sleep(100)
"""


def environment(**changes: str) -> dict[str, str]:
    # onnxruntime and others behave differently where CI is set.
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def run(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that has the folder open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def persistent_connection(folder: Path) -> Connection:
    connect = partial(persistent.connect, ChromaConfig(path=str(folder)))
    return Connection(connect, patience=Patience())


@pytest.fixture(params=["persistent", "http"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ClientAPI]:
    if request.param == "persistent":
        return partial(persistent.connect, ChromaConfig(path=str(tmp_path / "store")))
    server: ChromaServer = request.getfixturevalue("chroma_server")
    return partial(http.connect, ChromaConfig(host=server.host, port=server.port))


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_an_embedded_client_used_before_a_fork_works_on_both_sides(tmp_path: Path) -> None:
    ended = run("-m", "tests.chroma.forking_app", "persistent", str(tmp_path / "store"))
    assert ended.stdout == "both sides work\n", ended.stderr


def test_an_http_client_used_before_and_during_forks_works_on_both_sides(
    chroma_server: ChromaServer,
) -> None:
    ended = run("-m", "tests.chroma.forking_app", "http", str(chroma_server.port))
    assert ended.stdout == "both sides work\n", ended.stderr


def test_opening_and_closing_leaves_nothing_behind(connect: Callable[[], ClientAPI]) -> None:
    connection = Connection(connect, patience=Patience())

    def cycle() -> None:
        use(connection, 1)
        connection.close()

    cycle()
    files, systems = open_files(), len(SharedSystemClient._identifier_to_system)
    for _ in range(20):
        cycle()
    assert open_files() == files
    assert len(SharedSystemClient._identifier_to_system) == systems
    assert len(SharedSystemClient._identifier_to_refcount) <= systems


def test_failing_to_open_leaves_nothing_behind() -> None:
    config = ChromaConfig(host="127.0.0.1", port=free_port())
    connection = Connection(partial(http.connect, config), patience=Patience())

    def attempt() -> None:
        with pytest.raises(StoreUnavailable):
            connection.names()

    attempt()
    files, systems = open_files(), len(SharedSystemClient._identifier_to_system)
    for _ in range(20):
        attempt()
    assert open_files() == files
    assert len(SharedSystemClient._identifier_to_system) == systems


def test_a_forgotten_connection_closes_itself(connect: Callable[[], ClientAPI]) -> None:
    before = set(SharedSystemClient._identifier_to_system)
    connection = Connection(connect, patience=Patience())
    connection.names()
    del connection
    gc.collect()
    assert set(SharedSystemClient._identifier_to_system) == before


def test_a_process_that_closes_nothing_ends_without_a_word(chroma_server: ChromaServer) -> None:
    program = (
        "from tests.chroma.forking_app import connect, use\n"
        f"connection = connect('http', '{chroma_server.port}')\n"
        "use(connection, 0)\n"
    )
    ended = run("-c", program)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_folder_in_use_names_its_holder_and_the_mend(tmp_path: Path) -> None:
    with holder(tmp_path / "store") as other:
        connection = persistent_connection(tmp_path / "store")
        words = rf"in use by process {other.pid} .*CHROMA_MODE=http"
        with pytest.raises(StoreUnavailable, match=words):
            connection.names()


def test_a_killed_process_leaves_its_folder_free(tmp_path: Path) -> None:
    connection = persistent_connection(tmp_path / "store")
    with holder(tmp_path / "store") as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert connection.names() == []
    connection.close()


def test_a_closed_connection_leaves_its_folder_free(tmp_path: Path) -> None:
    first, second = (persistent_connection(tmp_path / "store") for _ in range(2))
    first.names()
    with pytest.raises(StoreUnavailable, match=f"in use by process {os.getpid()}"):
        second.names()
    first.close()
    assert second.names() == []
    second.close()


def test_a_folder_that_is_removed_under_the_client_is_made_anew(tmp_path: Path) -> None:
    connection = persistent_connection(tmp_path / "store")
    connection.ensure("shelf", {"kind": "a"})
    for path in (tmp_path / "store").iterdir():
        path.unlink()
    with pytest.raises(StoreUnavailable):
        connection.ensure("another", {"kind": "a"})
    assert connection.ensure("another", {"kind": "a"}).count() == 0
    connection.close()


def test_the_lock_file_shows_who_holds_the_folder(tmp_path: Path) -> None:
    connection = persistent_connection(tmp_path / "store")
    connection.names()
    content = (tmp_path / "store" / ".memapp.lock").read_text()
    connection.close()
    assert re.match(rf"process {os.getpid()} \(.+\)", content)


STRANGE = {
    "CHROMA_SERVER_HOST": "elsewhere",
    "CHROMA_SERVER_HTTP_PORT": "tcp://10.0.0.1:8000",
    "CHROMA_SERVER_CORS_ALLOW_ORIGINS": "*",
    "CHROMA_CLIENT_AUTH_PROVIDER": "no.such.Provider",
    "IS_PERSISTENT": "perhaps",
    "PERSIST_DIRECTORY": "/nowhere",
}


@pytest.mark.parametrize("by", ["environment", ".env file"])
def test_chromas_own_variables_change_nothing(
    chroma_server: ChromaServer, tmp_path: Path, by: str
) -> None:
    program = (
        "from tests.chroma.forking_app import connect, use\n"
        f"use(connect('http', '{chroma_server.port}'), 0)\n"
        "use(connect('persistent', 'store'), 0)\n"
        "print('works')\n"
    )
    lines = [f"{name}={value}\n" for name, value in STRANGE.items()]
    if by == ".env file":
        (tmp_path / ".env").write_text("".join(lines))
    variables = STRANGE if by == "environment" else {}
    ended = run("-c", program, cwd=tmp_path, **variables)
    assert ended.stdout == "works\n", ended.stderr
    assert (tmp_path / "store" / "chroma.sqlite3").exists()
