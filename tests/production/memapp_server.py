"""memapp under a real gunicorn, in a folder of its own, as it is deployed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import requests

from memapp import keys
from tests.chroma_server import free_port
from tests.production.gate import ROOT, Gate

START_SECONDS = 60.0
STOP_SECONDS = 60.0


class MemappServer:
    """`gunicorn wsgi:app` beside copies of the files that are deployed.

    Attributes:
        port: Where it listens.
        key: An API key with every scope.
        environ: Its whole environment.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        arguments: tuple[str, ...] = ("-w", "4"),
        host: str = "127.0.0.1",
        port: int = 0,
        key: str = "",
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("wsgi.py", "gunicorn.conf.py", "settings.toml"):
            shutil.copy(ROOT / name, folder)
        self.host, self.port = host, port or free_port()
        self.key = key or keys.new_key()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ENV_FOR_DYNACONF": "production",
            "MEMAPP_API_KEYS": keys.entry_for(self.key, tenant="check", scopes=["all"]),
            "MEMAPP_DRAIN_SECONDS": "0",
            **environ,
        }
        self.arguments = arguments
        self.log_path = folder / "gunicorn.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://{self.host}:{self.port}"

    def start(self, *, until: str = "/health") -> None:
        """Start it and wait until a path of it answers 200."""
        self.spawn()
        self.wait_for(until)

    def spawn(self, *, through: tuple[str, ...] = (), keep: tuple[int, ...] = ()) -> None:
        """Start it, if need be `through` another command, and `keep` some files open for it."""
        command = [*through, str(Path(sys.executable).parent / "gunicorn"), *self.arguments]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--bind", f"{self.host}:{self.port}", "wsgi:app"],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environ,
                pass_fds=keep,
            )

    def wait_for(self, path: str, *, seconds: float = START_SECONDS) -> None:
        """Wait until a path answers 200."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while self.status(path) != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log()[-3000:])
            time.sleep(0.05)

    def status(self, path: str) -> int:
        """Return the status that a path answers, 0 for none."""
        try:
            return requests.get(self.url + path, timeout=5).status_code
        except requests.RequestException:
            return 0

    def write(self, text: str) -> requests.Response:
        """Ask it to keep a memory of Ann's."""
        return self._post("/v1/memories", {"user_id": "ann", "text": text})

    def find(self, query: str) -> str:
        """Return the text of Ann's memory that comes first."""
        answer = self.search(query)
        answer.raise_for_status()
        return str(answer.json()["data"][0]["text"])

    def search(self, query: str) -> requests.Response:
        """Search among Ann's memories."""
        return self._post("/v1/memories/search", {"user_id": "ann", "query": query})

    def _post(self, path: str, body: dict[str, str]) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return requests.post(self.url + path, json=body, headers=headers, timeout=30)

    def send(self, number: int) -> None:
        """Send the master a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def log(self) -> str:
        """Return all it has logged."""
        return self.log_path.read_text()

    def stop(self) -> int | None:
        """Stop it in an orderly way, if it runs; return its exit code."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def behind(gate: Gate) -> dict[str, str]:
    """Return the environment that makes memapp use Chroma behind a gate."""
    return {
        "CHROMA_MODE": "http",
        "CHROMA_HOST": "127.0.0.1",
        "CHROMA_PORT": str(gate.port),
        "CHROMA_AUTH_TOKEN": gate.token,
    }
