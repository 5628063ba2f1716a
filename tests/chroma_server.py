"""A real Chroma server in a process of its own, for tests."""

import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx

START_SECONDS = 60.0
"""A loaded machine takes its time."""

CHROMA = (
    sys.executable,
    "-c",
    "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(sys.argv)",
)
"""The command `chroma`, without importing all of Python's chromadb first, which takes seconds."""


def free_port() -> int:
    """Return a port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ChromaServer:
    """`chroma run` on one port and one folder, which can be stopped, started and frozen.

    Attributes:
        host: Where it listens.
        port: Where it listens; the same after a restart.
        folder: Where it keeps its data.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        address = ["--host", self.host, "--port", str(self.port)]
        with (self.folder / "chroma.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*CHROMA, "run", "--path", str(self.folder / "data"), *address],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "chroma.log").read_text()[-2000:])
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in an orderly way, if it runs."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, if it runs."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop its process; the kernel still accepts connections for it."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while not self._is_stopped():
            assert time.monotonic() < deadline, "the server goes on"
            time.sleep(0.002)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def _is_stopped(self) -> bool:
        # Its threads stop one after the other; the last may still answer meanwhile.
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)

    def answers(self) -> bool:
        """Tell whether it gives a sign of life."""
        try:
            return httpx.get(f"{self.url}/api/v2/heartbeat", timeout=1).is_success
        except httpx.TransportError:
            return False

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"test-{uuid.uuid4().hex}"
        url = f"{self.url}/api/v2/tenants/default_tenant/databases"
        httpx.post(url, json={"name": name}, timeout=30).raise_for_status()
        return name

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
