"""`memapp-check` as a program, run beside a test."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.production.memapp_server import MemappServer

COMMAND = Path(sys.executable).parent / "memapp-check"

IS_FULL = os.environ.get("FULL_CHECK") == "1"
"""Whether to run the proof at full length (minutes), as `make full-check` does."""

CLIENTS = 4
WRITES = 800 if IS_FULL else 20
"""Memories that each client writes."""

WITHOUT_END = "--writes 100000"

PATIENCE = "60"
"""How long clients go on trying where an outage is part of the test, in seconds."""


class Check:
    """A run of the check against servers, under way until its report is asked for."""

    def __init__(self, *servers: MemappServer | str, key: str = "", more: str = "") -> None:
        urls = [server if isinstance(server, str) else server.url for server in servers]
        keys = [server.key for server in servers if isinstance(server, MemappServer)]
        self._process = subprocess.Popen(
            [COMMAND, *urls, "--json", "--clients", str(CLIENTS), *more.split()],
            env={**os.environ, "CHECK_API_KEY": key or (keys[0] if keys else "")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_running(self) -> bool:
        """Tell whether it has more to do."""
        return self._process.poll() is None

    def wait_for_load(self) -> None:
        """Wait until the clients are at work."""
        assert self._process.stderr is not None
        assert self._process.stderr.readline()

    def finish(self) -> dict[str, Any]:
        """Let it write no more, and wait for the report."""
        assert self.is_running()
        self._process.send_signal(signal.SIGINT)
        return self.report()

    def report(self) -> dict[str, Any]:
        """Wait for the report."""
        out, err = self._process.communicate()
        assert out, err
        report: dict[str, Any] = json.loads(out)
        return report

    def stop(self) -> None:
        """End it, if it runs."""
        if self.is_running():
            self._process.terminate()
            self._process.communicate()


def wrongs(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a report found wrong, with examples; empty if nothing was."""
    found = {wrong: count for wrong, count in report["findings"].items() if count}
    return {**found, "examples": report["examples"]} if found else {}
