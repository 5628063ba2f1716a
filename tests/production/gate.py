"""The repository's own nginx gate, rendered as in production and run by a real nginx."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chroma_server import free_port

ROOT = Path(__file__).parent.parent.parent
NGINX_FILES = ROOT / "deploy" / "nginx"
START_SECONDS = 30.0

_NGINX_CONF = """
{user}
daemon off;
master_process on;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path temp-body;
    proxy_temp_path temp-proxy;
    fastcgi_temp_path temp-fastcgi;
    uwsgi_temp_path temp-uwsgi;
    scgi_temp_path temp-scgi;
    include conf.d/*.conf;
}}
"""


def find_nginx() -> str:
    """Return where nginx is, or skip the test."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("nginx", path=path) or pytest.skip(
        "nginx is not installed; on Debian: apt-get install nginx-light gettext-base"
    )


def new_token() -> str:
    """Make a token as `openssl rand -hex 32` does."""
    return secrets.token_hex(32)


def render(token: str, environ: Mapping[str, str]) -> str:
    """Render the template by the script that operators use."""
    if not shutil.which("envsubst"):
        pytest.skip("envsubst is not installed; on Debian: apt-get install gettext-base")
    return subprocess.run(
        [NGINX_FILES / "render.sh"],
        env={"PATH": os.environ["PATH"], "CHROMA_AUTH_TOKEN": token, **environ},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


class Nginx:
    """An nginx in a folder of its own, with the given files in `conf.d`."""

    def __init__(self, folder: Path, configuration: str, *, port: int) -> None:
        self.folder = folder
        self.port = port
        (folder / "conf.d").mkdir(parents=True)
        (folder / "gate.d").mkdir()
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(_NGINX_CONF.format(user=user))
        (folder / "conf.d" / "site.conf").write_text(configuration)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [find_nginx(), "-p", f"{self.folder}/", "-c", "nginx.conf", "-e", "stderr"]
        with (self.folder / "nginx.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError((self.folder / "nginx.log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None


class Gate(Nginx):
    """The gate in front of a Chroma server.

    Attributes:
        token: What it lets through.
    """

    def __init__(
        self, folder: Path, *, chroma_port: int, token: str | None = None, previous: str = ""
    ) -> None:
        self.token = token or new_token()
        port = free_port()
        configuration = render(
            self.token,
            {
                "GATE_UPSTREAM": f"127.0.0.1:{chroma_port}",
                "GATE_LISTEN": f"127.0.0.1:{port}",
                "GATE_PREVIOUS_TOKEN": previous,
            },
        )
        super().__init__(folder, configuration, port=port)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
