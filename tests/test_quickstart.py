"""The README's quickstart runs as written, against a memapp started as a newcomer would."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 60.0


def steps() -> list[tuple[str, str | None]]:
    """Return the quickstart's commands, each with what its first answer must hold."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## Quickstart.*?```bash\n(.*?)```", text, re.DOTALL)
    assert block is not None
    found: list[tuple[str, str | None]] = []
    for line in block[1].splitlines():
        if line.startswith("# first: "):
            found[-1] = (found[-1][0], line.removeprefix("# first: "))
        elif line and not line.startswith(("#", "export")):
            found.append((line, None))
    return found


@pytest.fixture(scope="module")
def memapp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `flask run` in a folder with the project's settings; yield its address."""
    folder = tmp_path_factory.mktemp("quickstart")
    for name in ("wsgi.py", "settings.toml"):
        shutil.copy(ROOT / name, folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flask = [sys.executable, "-m", "flask", "run", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(flask, cwd=folder, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(address, server, folder / "log")
        yield address
    finally:
        server.terminate()
        server.wait(DEADLINE)


def wait_until_ready(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text(encoding="utf-8")
        try:
            if requests.get(f"{address}/health/ready", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    pytest.fail(log.read_text(encoding="utf-8"))


def test_every_line_of_the_quickstart_works_and_finds_what_it_says(memapp: str) -> None:
    environment = {**os.environ, "MEMAPP": memapp}
    shown = 0
    for command, expected in steps():
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE,
        )
        if not command.startswith("curl"):
            continue
        answer = json.loads(ran.stdout)
        assert "status" not in answer, (command, answer)
        if expected is not None:
            assert expected in answer["data"][0]["text"], (command, answer["data"][:3])
            shown += 1
    assert shown >= 5


def test_the_conversation_has_thirty_turns_or_more() -> None:
    path = ROOT / "docs/quickstart/conversation.json"

    assert len(json.loads(path.read_text(encoding="utf-8"))["memories"]) >= 30
