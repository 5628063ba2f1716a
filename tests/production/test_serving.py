"""Under gunicorn no request is lost when workers stop, and faults are told before the start."""

import os
import pkgutil
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests

import memapp.chroma
from memapp.turning_away import turn_away
from tests.production.gate import ROOT
from tests.production.memapp_server import MemappServer

# Slow enough that requests queue up at the door.
SLOW_APP = """
import pathlib
import time

def app(environ, start_response):
    if environ["PATH_INFO"].startswith("/takes/"):
        seconds = environ["PATH_INFO"].removeprefix("/takes/")
        pathlib.Path(seconds).touch()
        time.sleep(int(seconds))
    time.sleep(0.02)
    environ["wsgi.input"].read()
    is_draining = environ["memapp.draining"] and environ["PATH_INFO"] == "/health/ready"
    start_response("503 Draining" if is_draining else "200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
CLIENTS = 30


# As systemd hands over a socket; see sd_listen_fds(3).
_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


class SlowServer(MemappServer):
    """gunicorn as for memapp, with an app that needs no Chroma."""

    def __init__(self, folder: Path, *arguments: str, port: int = 0, **environ: str) -> None:
        super().__init__(
            folder, {"CHROMA_MODE": "http", **environ}, arguments=("-w", "4", *arguments), port=port
        )
        (folder / "wsgi.py").write_text(SLOW_APP)
        with (folder / "gunicorn.conf.py").open("a") as configuration:
            configuration.write("serving.import_chroma = lambda: None\n")
            configuration.write("serving.wiring.load_before_fork = lambda _: None\n")


@contextmanager
def load_on(server: MemappServer) -> Iterator[Counter[str]]:
    """Ask all the time, each time over a new connection; count how it ends."""
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            outcomes[_outcome(server)] += 1

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _outcome(server: MemappServer) -> str:
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    with socket.socket() as connection:
        connection.settimeout(20)
        try:
            connection.connect((server.host, server.port))
        except ConnectionRefusedError:
            time.sleep(0.02)
            return "refused"
        try:
            connection.sendall(request)
            answer = connection.makefile("rb").read()
        except OSError as error:
            return f"lost: {error}"
    return "answered" if answer.startswith(b"HTTP/1.1 200") else f"lost: {answer[:40]!r}"


def wait_until(happened: Counter[str], outcome: str, at_least: int) -> None:
    deadline = time.monotonic() + 30
    goal = happened[outcome] + at_least
    while happened[outcome] < goal:
        assert time.monotonic() < deadline, dict(happened)
        time.sleep(0.01)


def test_clients_that_come_together_are_spread_over_the_workers(tmp_path: Path) -> None:
    server = SlowServer(tmp_path)
    server.start(until="/")
    try:
        booted: set[str] = set()
        deadline = time.monotonic() + 30
        while len(booted) < 4:
            assert time.monotonic() < deadline
            booted |= _served_by(server, clients=32).keys()

        served = _served_by(server, clients=32)
    finally:
        server.stop()

    assert served.total() == 32
    assert max(served.values()) <= 16


def _served_by(server: MemappServer, *, clients: int) -> Counter[str]:
    """Let clients come all at once; count whom each worker serves."""
    worker = re.compile(r"X-Memapp-Worker: (\w+)")
    with ExitStack() as stack:
        address = (server.host, server.port)
        connections = [
            stack.enter_context(socket.create_connection(address, timeout=10))
            for _ in range(clients)
        ]
        for connection in connections:
            connection.sendall(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        heads = [connection.recv(4096).decode("latin-1") for connection in connections]
    return Counter(found[1] for head in heads if (found := worker.search(head)))


@pytest.mark.parametrize("arguments", [(), ("--preload",)])
def test_stopping_answers_everyone_who_got_in(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    server = SlowServer(tmp_path, *arguments)
    server.start(until="/")
    with load_on(server) as outcomes:
        wait_until(outcomes, "answered", 100)
        server.send(signal.SIGTERM)
        wait_until(outcomes, "refused", 30)
    assert server.stop() == 0
    assert set(outcomes) == {"answered", "refused"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such filter")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_door_that_turns_away_lets_in_who_has_knocked_and_nobody_else(
    family: socket.AddressFamily,
) -> None:
    with socket.socket(family) as door, socket.socket(family) as early:
        door.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        door.listen()
        early.connect(door.getsockname())

        assert turn_away(door)

        accepted, _ = door.accept()
        with accepted, socket.socket(family) as late:
            early.sendall(b"served")
            assert accepted.recv(6) == b"served"
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(door.getsockname())


def test_a_door_that_the_system_keeps_is_left_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        server = SlowServer(tmp_path, port=door.getsockname()[1])
        server.spawn(
            through=(sys.executable, "-c", _HAND_OVER, str(door.fileno())), keep=(door.fileno(),)
        )
        server.wait_for("/")
        assert server.stop() == 0
        with socket.create_connection(door.getsockname(), timeout=5):
            door.accept()[0].close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_stopping_at_once_waits_for_a_short_request_and_not_for_a_long_one(
    tmp_path: Path, number: int
) -> None:
    server = SlowServer(tmp_path)
    server.start(until="/")
    assert server.process is not None
    try:
        with ExitStack() as stack:
            short, long = (stack.enter_context(_asking(server, for_seconds=n)) for n in (1, 600))
            server.send(number)
            assert server.process.wait(10) == 0
            assert short.recv(4096).startswith(b"HTTP/1.1 200")
            with suppress(ConnectionResetError):
                assert long.recv(4096) == b""
    finally:
        server.process.kill()
        server.process.wait()


@contextmanager
def _asking(server: SlowServer, *, for_seconds: int) -> Iterator[socket.socket]:
    """Have a request under way that takes so long."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(f"GET /takes/{for_seconds} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        deadline = time.monotonic() + 20
        while not (server.folder / str(for_seconds)).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield connection


def test_draining_serves_on_and_says_so_until_told_to_stop_again(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, MEMAPP_DRAIN_SECONDS="300")
    server.start(until="/health/ready")
    with load_on(server) as outcomes:
        server.send(signal.SIGTERM)
        _wait_for_status(server, 503)
        wait_until(outcomes, "answered", 50)
        assert server.status("/health/ready") == 503
        kept = requests.get(f"{server.url}/", timeout=5)
        assert kept.headers["Connection"] == "close"
        server.send(signal.SIGTERM)
        wait_until(outcomes, "refused", 30)
    assert server.stop() == 0
    assert set(outcomes) == {"answered", "refused"}


def test_draining_ends_by_itself(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, MEMAPP_DRAIN_SECONDS="1")
    server.start(until="/health/ready")
    server.send(signal.SIGTERM)
    _wait_for_status(server, 503)
    assert server.process is not None
    assert server.process.wait(30) == 0


def test_threads_that_stay_with_their_clients_come_when_others_wait(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, "-w", "1", "--threads", "2")
    with (tmp_path / "gunicorn.conf.py").open("a") as configuration:
        configuration.write("serving._STAY_SECONDS = 60\n")
    server.start(until="/")
    with requests.Session() as one, requests.Session() as other:
        for session in (one, other):
            session.get(server.url, timeout=10).raise_for_status()
        for _ in range(10):
            requests.get(server.url, timeout=10).raise_for_status()
        for session in (one, other):
            session.get(server.url, timeout=10).raise_for_status()
    assert server.stop() == 0


def test_a_request_that_cannot_be_read_is_not_logged_as_the_one_before(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, "--access-logfile", "-")
    server.start()
    try:
        for _ in range(5):
            with socket.create_connection((server.host, server.port), timeout=30) as connection:
                connection.sendall(b"GET /fine HTTP/1.1\r\nHost: a\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
                connection.sendall(b"rubbish\r\n\r\n")
                while received := connection.recv(65536):
                    assert received.startswith(b"HTTP/1.1 400")
    finally:
        server.stop()

    assert re.findall('"GET /fine HTTP/1.1" ([0-9]+)', server.log()) == ["200"] * 5


def test_stopping_while_workers_boot_is_not_left_to_the_timeout(tmp_path: Path) -> None:
    for attempt in range(4):
        server = SlowServer(tmp_path / str(attempt), "--graceful-timeout", "20")
        server.spawn()
        _wait_for_boots(server, attempt + 1)
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 15
        assert "was sent SIGKILL" not in server.log()


def test_reloading_loses_no_request_and_stays_ready(tmp_path: Path) -> None:
    server = SlowServer(tmp_path)
    server.start(until="/")
    with load_on(server) as outcomes:
        for _ in range(2):
            wait_until(outcomes, "answered", 50)
            before = server.log().count("Booting worker")
            server.send(signal.SIGHUP)
            _wait_for_boots(server, before + 4)
            assert server.status("/health/ready") == 200
        wait_until(outcomes, "answered", 50)
    assert server.stop() == 0
    assert set(outcomes) == {"answered"}


def test_a_successor_takes_over_without_a_break(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, "--pid", "gunicorn.pid", MEMAPP_DRAIN_SECONDS="300")
    server.start(until="/")
    assert server.process is not None
    with load_on(server) as outcomes:
        wait_until(outcomes, "answered", 50)
        server.send(signal.SIGUSR2)
        _wait_for_boots(server, 8)
        successor = int((tmp_path / "gunicorn.pid.2").read_text())
        try:
            server.send(signal.SIGTERM)
            # The service goes on, so there is nothing to drain for.
            assert server.process.wait(60) == 0
            wait_until(outcomes, "answered", 50)
            assert server.status("/health/ready") == 200
            assert set(outcomes) == {"answered"}
        finally:
            os.kill(successor, signal.SIGINT)
            wait_until(outcomes, "refused", 1)


def test_replacing_workers_after_max_requests_loses_no_request(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, "--max-requests", "25", "--max-requests-jitter", "10")
    server.start(until="/")
    with load_on(server) as outcomes:
        _wait_for_boots(server, 12)
    assert server.stop() == 0
    assert set(outcomes) == {"answered"}


def test_each_worker_names_itself_and_no_process_id(tmp_path: Path) -> None:
    server = SlowServer(tmp_path)
    server.start(until="/")
    with load_on(server) as outcomes:
        names: set[str] = set()
        deadline = time.monotonic() + 30
        while len(names) < 4:
            assert time.monotonic() < deadline, outcomes
            names.add(requests.get(server.url, timeout=5).headers["X-Memapp-Worker"])
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in names)
    server.stop()


def test_a_reload_with_wrong_settings_leaves_the_old_workers_alone(tmp_path: Path) -> None:
    server = SlowServer(tmp_path)
    server.start(until="/")
    (tmp_path / ".env").write_text("MEMAPP_SEARCH_POOL=lots\n")
    server.send(signal.SIGHUP)
    _wait_for_log(server, "Not reloading, the old workers stay")
    assert "SEARCH_POOL = 'lots'" in server.log()
    assert server.log().count("Booting worker") == 4
    assert server.status("/") == 200
    assert server.stop() == 0


@pytest.mark.parametrize("arguments", [("-w", "4"), ("-w", "4", "--preload")])
def test_a_wrong_setting_is_told_in_one_line_and_nothing_starts(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    server = MemappServer(
        tmp_path, {"CHROMA_MODE": "http", "MEMAPP_SEARCH_POOL": "lots"}, arguments=arguments
    )
    server.spawn()
    assert server.process is not None
    assert server.process.wait(30) == 1
    assert server.log().splitlines() == [
        "invalid configuration:",
        "  - SEARCH_POOL = 'lots' from environment variable MEMAPP_SEARCH_POOL: "
        "must be a whole number from 10 to 2000",
    ]


@pytest.mark.parametrize(
    ("mode", "arguments", "environ"),
    [
        ("persistent", ("-w", "2"), {}),
        ("ephemeral", ("--workers=2", "--preload"), {}),
        ("persistent", (), {"WEB_CONCURRENCY": "2"}),
        ("persistent", (), {"GUNICORN_CMD_ARGS": "--workers 2"}),
        ("persistent", ("-w", "2"), {"ENV_FOR_DYNACONF": "development"}),
        ("ephemeral", ("-w", "2"), {"ENV_FOR_DYNACONF": "development"}),
    ],
)
def test_nobody_may_share_an_embedded_chroma_between_workers(
    tmp_path: Path, mode: str, arguments: tuple[str, ...], environ: dict[str, str]
) -> None:
    server = MemappServer(tmp_path, {"CHROMA_MODE": mode, **environ}, arguments=arguments)
    server.spawn()
    assert server.process is not None
    assert server.process.wait(30) == 1
    first, fault = server.log().splitlines()
    assert first == "invalid configuration:"
    assert f"CHROMA_MODE = '{mode}'" in fault
    assert ", with 2 workers" in fault
    assert "set CHROMA_MODE=http" in fault


@pytest.mark.parametrize("arguments", [("-w", "4"), ("-w", "4", "--preload")])
@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"MEMAPP_EXTENSIONS": "json:__name__"}, "EXTENSIONS = 'json:__name__': has no init_app"),
        ({"MEMAPP_BLUEPRINTS": "json:loads"}, "BLUEPRINTS = 'json:loads': is a function"),
        ({"MEMAPP_EXTENSIONS": "json:loads"}, "with TypeError: the JSON object must be"),
        ({"MEMAPP_EMBEDDER_MODEL_PATH": "/nowhere/m.onnx"}, "/nowhere/m.onnx cannot be read"),
        ({"MEMAPP_READERS": "foo"}, "READERS: 'foo' is neither one of"),
        ({"MEMAPP_EMBEDDER": "sentence-transformers"}, "the package is not installed"),
        ({"MEMAPP_EXTENSIONS": "nowhere:x"}, "there is no module 'nowhere'"),
        ({"MEMAPP_BLUEPRINTS": "json:x"}, "module 'json' has no 'x'"),
        ({"CHROMA_MODE": "nowhere:connect"}, "there is no module 'nowhere'"),
    ],
)
def test_a_wrong_plugin_or_model_is_told_in_one_line_before_any_worker_starts(
    tmp_path: Path, environ: dict[str, str], words: str, arguments: tuple[str, ...]
) -> None:
    server = MemappServer(tmp_path, {"CHROMA_MODE": "http", **environ}, arguments=arguments)
    server.spawn()
    assert server.process is not None
    assert server.process.wait(30) == 1
    first, fault = server.log().splitlines()
    assert first == "invalid configuration:"
    assert words in fault


_WRONG_PLUGINS = [
    ("MEMAPP_READERS=foo", "", "READERS: 'foo'"),
    ("MEMAPP_BLUEPRINTS=plug:thing", "x = 1 / 0", "plug.py, line 1, with ZeroDivisionError"),
    ("MEMAPP_BLUEPRINTS=plug:thing", "x = = 1", "plug.py, line 1, with SyntaxError"),
    ("MEMAPP_BLUEPRINTS=plug:thing", "exit('no')", "with SystemExit: no"),
    ("MEMAPP_BLUEPRINTS=plug:thing", "import os; os._exit(0)", "without a word"),
    ("MEMAPP_BLUEPRINTS=plug:thing", "thing = 5", "BLUEPRINTS = 'plug:thing': is a int"),
    ("MEMAPP_EXTENSIONS=plug:thing", "thing = 5", "EXTENSIONS = 'plug:thing': has no init_app"),
    ("MEMAPP_EMBEDDER=plug:create", "create = int", "with TypeError: int() argument must be"),
    ("MEMAPP_EMBEDDER_MODEL_PATH=/nowhere/m.onnx", "", "file /nowhere/m.onnx cannot be read"),
    ("MEMAPP_EMBEDDER_MODEL_PATH=m.onnx", "", "onnxruntime cannot load"),
]


@pytest.mark.parametrize(("setting", "plugin", "words"), _WRONG_PLUGINS)
def test_a_reload_with_a_wrong_plugin_or_model_leaves_the_old_workers_alone(
    tmp_path: Path, setting: str, plugin: str, words: str
) -> None:
    server = MemappServer(tmp_path, {"CHROMA_MODE": "http"}, arguments=("-w", "1"))
    server.start()  # Each worker reads the settings when it boots, and there is but one.
    (tmp_path / ".env").write_text(f"{setting}\n")
    (tmp_path / "plug.py").write_text(f"{plugin}\n")
    (tmp_path / "m.onnx").write_text("no model")
    shutil.copy(ROOT / "memapp/embedders/minilm/tokenizer.json", tmp_path)
    server.send(signal.SIGHUP)
    _wait_for_log(server, "Not reloading, the old workers stay")
    assert words in server.log()
    assert server.log().count("Booting worker") == 1
    assert server.status("/health") == 200
    assert server.stop() == 0


def test_a_reload_after_a_wrong_one_finds_the_plugin_as_it_then_is(tmp_path: Path) -> None:
    server = MemappServer(tmp_path, {"CHROMA_MODE": "http"}, arguments=("-w", "1"))
    server.start()
    (tmp_path / ".env").write_text("MEMAPP_EXTENSIONS=plug:greet\n")
    (tmp_path / "plug.py").write_text("x = 1 / 0\n")
    server.send(signal.SIGHUP)
    _wait_for_log(server, "Not reloading, the old workers stay")
    (tmp_path / "plug.py").write_text("greet = print  # No longer divides.\n")
    server.send(signal.SIGHUP)
    _wait_for_boots(server, 2)
    assert server.status("/health") == 200
    assert server.stop() == 0


def test_a_plugin_may_import_chroma_whatever_lies_in_the_environment(tmp_path: Path) -> None:
    # With this variable chromadb alone cannot be imported.
    environ = {"CHROMA_SERVER_CORS_ALLOW_ORIGINS": "*", "MEMAPP_EXTENSIONS": "plug:greet"}
    server = MemappServer(tmp_path, {"CHROMA_MODE": "http", **environ}, arguments=("-w", "1"))
    (tmp_path / "plug.py").write_text("import chromadb\ngreet = print\n")
    server.start()
    config = [str(Path(sys.executable).with_name("memapp")), "config"]
    subprocess.run(config, check=True, cwd=tmp_path, env=server.environ, stdout=subprocess.DEVNULL)
    assert server.stop() == 0


def test_one_worker_with_an_embedded_chroma_stays_one(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, "-w", "1", CHROMA_MODE="persistent")
    server.start(until="/")
    server.send(signal.SIGTTIN)
    _wait_for_log(server, "Staying at 1 workers")
    assert server.log().count("Booting worker") == 1
    assert server.stop() == 0


def test_no_control_socket_is_left_for_others_to_find(tmp_path: Path) -> None:
    server = SlowServer(tmp_path)
    server.start(until="/")
    assert not list(tmp_path.rglob("gunicorn.ctl"))
    server.stop()
    assert "control" not in server.log().lower()


def test_workers_share_all_that_an_app_imports_late(tmp_path: Path) -> None:
    modules, _ = _imported_before_the_fork(tmp_path)
    rooms = {f"memapp.chroma.{one.name}" for one in pkgutil.iter_modules(memapp.chroma.__path__)}
    assert rooms - modules == {"memapp.chroma.reembedding"}  # Only the command needs it.
    assert {"onnxruntime", "tokenizers"} <= modules


@pytest.mark.parametrize("telemetry", ["off", "on"])
def test_what_is_imported_before_the_fork_opens_no_client_and_starts_no_thread(
    tmp_path: Path, telemetry: str
) -> None:
    # With telemetry on, a thread of onnxruntime's makes forked children crash, or hang at exit.
    environ = {"ORT_DISABLE_TELEMETRY": "0"} if telemetry == "on" else {}
    modules, threads = _imported_before_the_fork(tmp_path, **environ)
    assert threads == 1
    assert ("onnxruntime" in modules) == (telemetry == "off")


def _imported_before_the_fork(home: Path, **environ: str) -> tuple[set[str], int]:
    """Return the modules that gunicorn's master has imported, and its number of threads."""
    code = (
        "from memapp import serving; from types import SimpleNamespace as N; import os, sys;"
        "serving.on_starting(N(log=N(debug=len), cfg=N(chdir='.', workers=1)));"
        "from chromadb.api.shared_system_client import SharedSystemClient as S;"
        "assert not S._identifier_to_system;"
        "print(len(os.listdir('/proc/self/task')), *sys.modules)"
    )
    # onnxruntime starts no thread where it sees CI.
    hidden = {"CI", "ORT_DISABLE_TELEMETRY"}
    ours = {name: value for name, value in os.environ.items() if name not in hidden}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**ours, "HOME": str(home), "MEMAPP_EMBEDDER": "minilm", **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    threads, *modules = ran.stdout.split()
    return set(modules), int(threads)


def _wait_for_status(server: MemappServer, status: int) -> None:
    deadline = time.monotonic() + 20
    while server.status("/health/ready") != status:
        assert time.monotonic() < deadline, server.log()


def _wait_for_boots(server: MemappServer, number: int) -> None:
    deadline = time.monotonic() + 30
    while server.log().count("Booting worker") < number:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)


def _wait_for_log(server: MemappServer, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in server.log():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)
