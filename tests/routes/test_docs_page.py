"""The reading page in a real browser that reaches nothing but memapp."""

import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask
from werkzeug.serving import make_server

from tests.openapi import document_of

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    """The port of the shared app, served."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.port
    server.shutdown()
    thread.join()
    server.server_close()


def _rendered(url: str, profile: Path) -> tuple[str, str]:
    """Return what a browser makes of a page, and what it complains about."""
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return unescape(done.stdout), "\n".join(complaints)


def test_the_page_shows_every_operation_and_schema_without_the_internet(
    app: Flask, port: int, tmp_path: Path
) -> None:
    page, complaints = _rendered(f"http://127.0.0.1:{port}/docs", tmp_path)
    document = document_of(app)
    assert complaints == ""
    for path, item in document["paths"].items():
        assert f"<code>{path}</code>" in page
        for operation in item.values():
            assert operation["summary"].partition("`")[0] in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
