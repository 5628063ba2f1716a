"""Whatever stands in Chroma's place, the caller gets one problem and the log one clear line."""

import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from memapp.app import create_app
from tests.chroma import fake_servers
from tests.chroma.fake_servers import Answer
from tests.chroma_server import ChromaServer, free_port
from tests.production.conftest import Start
from tests.production.gate import Gate, new_token
from tests.production.promptness import in_time

pytestmark = pytest.mark.timeout(120)

Faulty = Callable[[ExitStack, ChromaServer, Path], dict[str, object]]
"""Put something in Chroma's place; return the settings that lead there."""


def answering(answer: Answer, *, to: str = "") -> Faulty:
    def faulty(stack: ExitStack, chroma: ChromaServer, _folder: Path) -> dict[str, object]:
        gate = stack.enter_context(fake_servers.gate(chroma.port))
        gate.answers, gate.answered = answer, to
        return {"CHROMA_PORT": gate.port}

    return faulty


def talking(talk: Callable[..., None]) -> Faulty:
    def faulty(stack: ExitStack, _chroma: ChromaServer, _folder: Path) -> dict[str, object]:
        return {"CHROMA_PORT": stack.enter_context(fake_servers.listener(talk))}

    return faulty


def closed_door(stack: ExitStack, _chroma: ChromaServer, _folder: Path) -> dict[str, object]:
    return {"CHROMA_PORT": stack.enter_context(fake_servers.closed_door())}


def wrong_token(stack: ExitStack, chroma: ChromaServer, folder: Path) -> dict[str, object]:
    gate = Gate(folder / "gate", chroma_port=chroma.port)
    gate.start()
    stack.callback(gate.stop)
    return {"CHROMA_PORT": gate.port, "CHROMA_AUTH_TOKEN": new_token()}


def no_token(stack: ExitStack, chroma: ChromaServer, folder: Path) -> dict[str, object]:
    return {**wrong_token(stack, chroma, folder), "CHROMA_AUTH_TOKEN": ""}


def tls_to_a_plain_port(
    _stack: ExitStack, chroma: ChromaServer, _folder: Path
) -> dict[str, object]:
    return {"CHROMA_PORT": chroma.port, "CHROMA_SSL": True}


def plain_to_a_tls_port(stack: ExitStack, _chroma: ChromaServer, folder: Path) -> dict[str, object]:
    talk = fake_servers.speak_tls(folder)
    return {"CHROMA_PORT": stack.enter_context(fake_servers.listener(talk))}


PAGE = "<html><body><h1>Please log in</h1><form action='/login'></form></body></html>"

FAULTS: dict[str, tuple[Faulty, str]] = {
    "a wrong token": (wrong_token, "refuses memapp's token: check CHROMA_AUTH_TOKEN"),
    "no token": (no_token, "refuses memapp's token: check CHROMA_AUTH_TOKEN"),
    "a host that does not exist": (
        lambda *_: {"CHROMA_HOST": "chroma.invalid"},
        "the host name of Chroma is not known: check CHROMA_HOST",
    ),
    "a port where nobody listens": (
        lambda *_: {"CHROMA_PORT": free_port()},
        "Chroma is not running there: start it, or check CHROMA_HOST and CHROMA_PORT",
    ),
    "a wrong host and a wrong port": (
        lambda *_: {"CHROMA_HOST": "chroma.invalid", "CHROMA_PORT": free_port()},
        "the host name of Chroma is not known: check CHROMA_HOST",
    ),
    "a firewall": (closed_door, "connecting took too long: check CHROMA_HOST, CHROMA_PORT"),
    "TLS to a plain port": (tls_to_a_plain_port, "does not speak TLS on this port"),
    "plain HTTP to a TLS port": (plain_to_a_tls_port, "check CHROMA_HOST, CHROMA_PORT and CHROMA_"),
    "an HTML error page": (answering(Answer(502)), "the proxy in front of Chroma cannot reach it"),
    "a login page with status 200": (answering(Answer(200, PAGE)), "is not Chroma"),
    "a redirect to a login page": (answering(Answer(302, PAGE)), "is not Chroma (status 302)"),
    "a page that says it is not there": (answering(Answer(404, PAGE)), "check CHROMA_HOST"),
    "another program": (talking(fake_servers.greet_as_ssh), "check CHROMA_HOST, CHROMA_PORT"),
    "a program that never answers": (
        talking(fake_servers.say_nothing),
        "gives no sign of life: look at it and its host, and check CHROMA_PORT",
    ),
    "another service that speaks JSON": (
        answering(Answer(200, '{"status": "ok"}', "application/json")),
        "check CHROMA_HOST",
    ),
    "a Chroma of before version 1": (
        answering(Answer(404, '{"detail":"Not Found"}', "application/json")),
        "no Chroma server of version 1",
    ),
    # It has the API of version 1, and refuses only some of what is asked.
    "the last Chroma of before version 1": (
        answering(Answer(200, '"0.6.3"', "application/json"), to="/version"),
        "Chroma 0.6.3 is too old: memapp needs a Chroma server of version 1",
    ),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_one_problem_and_one_clear_line(
    chroma_server: ChromaServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    faulty, words = FAULTS[name]
    chroma_server.start()
    with ExitStack() as stack:
        changed = faulty(stack, chroma_server, tmp_path)
        settings = {"CHROMA_MODE": "http", "CHROMA_HOST": "127.0.0.1", "EMBEDDER": "hash"}
        app = create_app(tmp_path, **{**settings, **changed})
        for ask in (_write, _health, _ready):
            for _ in in_time():
                caplog.clear()
                with caplog.at_level(logging.WARNING):
                    answer = ask(app)
                _assert_one_problem(answer)
                (record,) = caplog.records
                assert record.exc_info is None
                assert words in record.getMessage()
                assert "\n" not in record.getMessage()
                assert "<" not in record.getMessage()


def _write(app: Flask) -> TestResponse:
    return app.test_client().post("/v1/memories", json={"user_id": "ann", "text": "hello"})


def _health(app: Flask) -> TestResponse:
    return app.test_client().get("/health/chromadb")


def _ready(app: Flask) -> TestResponse:
    return app.test_client().get("/health/ready")


def _assert_one_problem(answer: TestResponse) -> None:
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert "Retry-After" in answer.headers
    problem = answer.get_json()
    assert problem["code"] == "chroma_unavailable"
    assert "CHROMA_" not in problem["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CHROMA_AUTH_TOKEN": "0123 4567"}, "CHROMA_AUTH_TOKEN: "),
        ({"CHROMA_AUTH_TOKEN": "0123\n"}, "CHROMA_AUTH_TOKEN: "),
        ({"CHROMA_HOST": "http://chroma:8000"}, "CHROMA_HOST = 'http://chroma:8000'"),
        ({"CHROMA_PORT": "tcp://10.0.0.1:8000"}, "enableServiceLinks: false"),
    ],
)
def test_what_cannot_be_right_stops_the_start_in_one_line(
    new_server: Start, environ: dict[str, str], words: str
) -> None:
    server = new_server({"CHROMA_MODE": "http", **environ}, "-w", "1")
    server.spawn()
    assert server.process is not None
    assert server.process.wait(60) == 1
    first, fault = server.log().splitlines()
    assert first == "invalid configuration:"
    assert words in fault
    assert "0123" not in fault


def test_a_folder_that_another_process_holds_is_named_with_its_holder(
    new_server: Start, tmp_path: Path
) -> None:
    folders = {
        "CHROMA_MODE": "persistent",
        "CHROMA_DB_PATH": str(tmp_path / "memories"),
        "CHROMA_PERSIST_DIR": str(tmp_path / "documents"),
        "MEMAPP_EMBEDDER": "hash",
    }
    first = new_server(folders, "-w", "1")
    first.start(until="/health/ready")
    second = new_server(folders, "-w", "1")
    second.start(until="/health")
    assert second.status("/health/ready") == 503
    assert "is in use by process" in second.log()
    assert "set CHROMA_MODE=http" in second.log()
    assert "Traceback" not in second.log()
    first.stop()
    second.wait_for("/health/ready")


def test_a_folder_that_cannot_be_written_is_named(new_server: Start, tmp_path: Path) -> None:
    server = new_server(
        {"CHROMA_MODE": "persistent", "CHROMA_DB_PATH": "/proc/memapp", "MEMAPP_EMBEDDER": "hash"},
        "-w",
        "1",
    )
    server.start(until="/health")
    assert server.status("/health/ready") == 503
    assert "the folder /proc/memapp cannot be used" in server.log()
    assert "Traceback" not in server.log()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of a few megabytes, or skip."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    (folder / "ballast").write_bytes(b"0" * shutil.disk_usage(folder).free)


def forbid_writing(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(fill, "No space left on device"), (forbid_writing, "Read-only file system")],
)
def test_a_disk_without_room_for_a_folder_is_named(
    new_server: Start, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    with small_disk(tmp_path / "small", "1m") as folder:
        spoil(folder)
        environ = {
            "CHROMA_MODE": "persistent",
            "CHROMA_DB_PATH": str(folder / "memories"),
            "MEMAPP_EMBEDDER": "hash",
        }
        server = new_server(environ, "-w", "1")
        server.start(until="/health")
        for _ in in_time():
            assert server.write("nowhere to put it").status_code == 503
        server.stop()
        assert f"the folder {folder}/memories cannot be used: {words}" in server.log()
        assert "Traceback" not in server.log()


def test_a_full_disk_under_chroma_is_an_outage_that_loses_nothing(
    new_server: Start, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", "24m") as folder:
        chroma = ChromaServer(folder / "chroma")
        chroma.start()
        environ = {
            "CHROMA_MODE": "http",
            "CHROMA_HOST": "127.0.0.1",
            "CHROMA_PORT": str(chroma.port),
            "MEMAPP_CHROMA_READ_TIMEOUT": "3",
            "MEMAPP_EMBEDDER": "hash",
        }
        try:
            server = new_server(environ, "-w", "2")
            server.start(until="/health/ready")
            assert server.write("before the disk is full").status_code == 201
            fill(folder)
            refused = server.write("while the disk is full")
            assert refused.status_code == 503
            assert refused.json()["code"] == "chroma_unavailable"
            (folder / "ballast").unlink()
            # Chroma itself may stay stuck on a lock that it took when the disk was full.
            chroma.kill()
            chroma.start()
            server.wait_for("/health/ready")
            assert server.write("when there is room again").status_code == 201
            assert server.find("before the disk is full") == "before the disk is full"
            assert server.find("when there is room again") == "when there is room again"
            assert "Traceback" not in server.log()
        finally:
            server.stop()
            chroma.stop()
