"""Start and stop server processes on the loopback interface."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

HOST = "127.0.0.1"

START_SECONDS = 120.0
"""A loaded machine takes long to import Python's libraries."""

STOP_SECONDS = 60.0

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """Return a port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def plain_environment(**additions: str) -> dict[str, str]:
    """Return an environment with what a program needs and nothing that would configure one."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **additions}


class Server:
    """A server process with its output in a file.

    Attributes:
        port: Where it listens.
        pid: Its process.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        ready_path: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command` in `folder` and wait until `ready_path` answers with success.

        Raises:
            RuntimeError: it ended, or took longer than `START_SECONDS`; with the last it wrote.
        """
        self.port = port
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "output.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env=dict(environment or plain_environment()),
            )
        self.pid = self._process.pid
        if ready_path:
            try:
                self.wait_for(ready_path)
            except BaseException:
                # Nobody else knows of it yet, not even when the whole run is told to end.
                self.stop()
                raise

    def wait_for(self, path: str) -> None:
        """Wait until GET `path` is answered with success."""
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = f"{self._process.args!r} does not answer: {self.output()}"
                raise RuntimeError(message)
            time.sleep(0.02)

    def output(self) -> str:
        """Return the last lines it wrote."""
        return self._log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Stop it and wait until it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self, path: str) -> bool:
        connection = HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < 300
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def start_chroma(folder: Path) -> Server:
    """Start `chroma run` with an empty or existing store in `folder`."""
    chroma = Path(sys.executable).parent / "chroma"
    port = free_port()
    command = [str(chroma), "run", "--path", str(folder / "data"), "--host", HOST]
    return Server(
        [*command, "--port", str(port)], port=port, folder=folder, ready_path="/api/v2/heartbeat"
    )
