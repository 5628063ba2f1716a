"""The compose files, the image and the units say what production needs."""

import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chroma_server import CHROMA, START_SECONDS, ChromaServer, free_port
from tests.production.gate import NGINX_FILES, ROOT, new_token, render

CHROMA_FILE = ROOT / "docker-compose.chromadb.yml"
STACK_FILE = ROOT / "docker-compose.yml"
TOKEN = new_token()


def tool(name: str) -> str:
    """Return where a program of the development extra is."""
    beside_python = Path(sys.executable).parent / name
    found = str(beside_python) if beside_python.exists() else shutil.which(name)
    assert found, f"{name} is missing; install the extra: pip install -e '.[dev]'"
    return found


def compose(path: Path, *, token: str = TOKEN, **environ: str) -> subprocess.CompletedProcess[str]:
    """Let Docker Compose itself read a file; it needs no daemon for that."""
    command = [tool("docker-compose"), "-f", str(path), "--env-file", os.devnull]
    return subprocess.run(
        [*command, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "CHROMA_AUTH_TOKEN": token, **environ},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def chroma_services() -> dict[str, Any]:
    parsed = json.loads(compose(CHROMA_FILE).stdout)
    services: dict[str, Any] = parsed["services"]
    return services


@pytest.mark.parametrize("path", [CHROMA_FILE, STACK_FILE])
def test_compose_accepts_the_file_without_a_warning(path: Path) -> None:
    run = compose(path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""


def test_compose_checks_files_against_the_specification(tmp_path: Path) -> None:
    wrong = CHROMA_FILE.read_text().replace("stop_grace_period", "stop_grace_periodd")
    path = tmp_path / "docker-compose.yml"
    path.write_text(wrong)
    run = compose(path)
    assert run.returncode != 0
    assert "stop_grace_periodd" in run.stderr


@pytest.mark.parametrize("path", [CHROMA_FILE, STACK_FILE])
def test_without_a_token_nothing_starts(path: Path) -> None:
    run = compose(path, token="")
    assert run.returncode != 0
    assert "CHROMA_AUTH_TOKEN" in run.stderr
    assert "openssl rand -hex 32" in run.stderr


def test_chroma_is_the_version_of_the_client(chroma_services: dict[str, Any]) -> None:
    version = importlib.metadata.version("chromadb")
    assert chroma_services["chroma"]["image"] == f"chromadb/chroma:{version}"


def test_every_image_is_pinned_to_a_version() -> None:
    text = CHROMA_FILE.read_text() + (ROOT / "Dockerfile").read_text()
    images = re.findall(r"(?:image:|^FROM) (\S+)", text, re.MULTILINE)
    assert len(images) == 4
    assert all(re.search(r":\d+\.\d+\.\d+", image) for image in images), images


def test_only_the_gate_reaches_chroma() -> None:
    parsed = json.loads(compose(STACK_FILE).stdout)
    services = parsed["services"]
    assert "ports" not in services["chroma"]
    assert list(services["chroma"]["networks"]) == ["chroma-private"]
    assert parsed["networks"]["chroma-private"]["internal"] is True
    on_private = [name for name, of in services.items() if "chroma-private" in of["networks"]]
    assert sorted(on_private) == ["chroma", "gate"]


def test_ports_are_published_to_this_host_only_by_default() -> None:
    services = json.loads(compose(STACK_FILE).stdout)["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert [port["host_ip"] for port in ports] == ["127.0.0.1"] * 2


def test_the_token_reaches_the_gate_and_memapp_only() -> None:
    services = json.loads(compose(STACK_FILE).stdout)["services"]
    holders = [name for name, service in services.items() if TOKEN in json.dumps(service)]
    assert sorted(holders) == ["gate", "memapp"]


def test_chroma_keeps_its_data_in_a_named_volume_of_one_name_in_both_files() -> None:
    for path in (CHROMA_FILE, STACK_FILE):
        parsed = json.loads(compose(path).stdout)
        (volume,) = parsed["services"]["chroma"]["volumes"]
        assert (volume["type"], volume["target"]) == ("volume", "/data")
        assert parsed["volumes"][volume["source"]]["name"] == "memapp-chroma-data"


def test_every_service_has_the_time_it_needs_to_stop() -> None:
    services = json.loads(compose(STACK_FILE).stdout)["services"]
    assert services["chroma"]["stop_grace_period"] == "30s"
    assert services["gate"]["stop_grace_period"] == "30s"
    # 5 s of draining and 30 s for the requests under way.
    assert services["memapp"]["stop_grace_period"] == "45s"
    unit = (ROOT / "deploy/systemd/memapp.service").read_text()
    assert "\nTimeoutStopSec=45\n" in unit
    assert "\nKillMode=mixed\n" in unit


def test_the_daily_sweep_under_systemd_works_on_the_store_of_the_app() -> None:
    lines = {
        name: set((ROOT / f"deploy/systemd/{name}.service").read_text().splitlines())
        for name in ("memapp", "memapp-sweep")
    }
    for begin in ("WorkingDirectory=", "Environment=", "EnvironmentFile="):
        of_app = {line for line in lines["memapp"] if line.startswith(begin)}
        assert of_app
        assert of_app == {line for line in lines["memapp-sweep"] if line.startswith(begin)}


def test_the_gates_files_exist_and_its_script_can_be_run(chroma_services: dict[str, Any]) -> None:
    sources = {Path(of["source"]): of["target"] for of in chroma_services["gate"]["volumes"]}
    assert len(sources) == 3
    assert all(source.is_file() for source in sources)
    script = NGINX_FILES / "check-token.sh"
    assert sources[script].startswith("/docker-entrypoint.d/")
    assert os.access(script, os.X_OK)


def test_the_image_renders_the_gate_as_the_script_does(chroma_services: dict[str, Any]) -> None:
    environ = chroma_services["gate"]["environment"]
    template = (NGINX_FILES / "templates" / "chroma-gate.conf.template").read_text()
    # What the official image's 20-envsubst-on-templates.sh does: every name that is defined.
    names = " ".join(f"${{{name}}}" for name in environ)
    inside = subprocess.run(
        ["envsubst", names],
        input=template,
        env={"PATH": os.environ["PATH"], **environ},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    asked = {name: value for name, value in environ.items() if name != "CHROMA_AUTH_TOKEN"}
    assert inside == render(environ["CHROMA_AUTH_TOKEN"], asked)
    assert "${" not in inside


def test_chromas_health_check_tells_a_living_server_from_a_dead_one(
    chroma_services: dict[str, Any], chroma_server: ChromaServer
) -> None:
    chroma_server.start()
    assert _exit_code(chroma_services["chroma"], chroma_server.port) == 0
    assert _exit_code(chroma_services["chroma"], free_port()) != 0


def test_the_gates_health_check_tells_a_living_server_from_a_dead_one(
    chroma_services: dict[str, Any], chroma_server: ChromaServer
) -> None:
    if not shutil.which("wget"):
        pytest.skip("wget is not installed; on Debian: apt-get install wget")
    chroma_server.start()
    assert _exit_code(chroma_services["gate"], chroma_server.port) == 0
    assert _exit_code(chroma_services["gate"], free_port()) != 0


def test_chroma_under_systemd_listens_on_loopback_only(tmp_path: Path) -> None:
    port = free_port()
    text = (ROOT / "deploy/systemd/chroma.yaml").read_text()
    config = tmp_path / "chroma.yaml"
    config.write_text(text.replace("/var/lib/chroma", str(tmp_path)).replace("8001", str(port)))
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*CHROMA, "run", str(config)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _is_open("127.0.0.1", port):
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not _is_open("127.0.0.2", port)
    finally:
        server.terminate()
        server.wait(15)


def test_hadolint_finds_nothing_wrong_with_the_image() -> None:
    run = subprocess.run(
        [tool("hadolint"), ROOT / "Dockerfile"], check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout


def test_the_image_runs_memapp_as_an_ordinary_user_with_files_that_exist() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    let_through = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert sources == let_through
    assert all((ROOT / source).exists() for source in sources)


def _exit_code(service: dict[str, Any], port: int) -> int:
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    # Compose writes $$ for a $ that is not its own; the server is on another port here.
    words = [word.replace("$$", "$").replace("8000", str(port)) for word in command]
    return subprocess.run(words, check=False, capture_output=True, timeout=10).returncode


def _is_open(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0
