import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from memapp.app import create_app
from memapp.cli import main
from memapp.keys import Keyring, Principal
from memapp.settings import DECLARED, load, markdown_table
from tests.chroma_server import free_port


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("MEMAPP_", "CHROMA_")) or name == "ENV_FOR_DYNACONF":
            monkeypatch.delenv(name)


def test_config_shows_every_setting_with_value_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMA_PORT", "9000")

    result = CliRunner().invoke(main, ["config", "--root", str(tmp_path)])

    rows = [line.split() for line in result.output.splitlines()]
    assert result.exit_code == 0
    assert ["CHROMA_PORT", "9000", "environment", "variable", "CHROMA_PORT"] in rows
    assert ["MEMORY_SHARDS", "8", "default"] in rows
    assert {setting.name for setting in DECLARED} <= {row[0] for row in rows if row}


def test_config_masks_secrets(tmp_path: Path) -> None:
    (tmp_path / ".secrets.toml").write_text(
        '[default]\nCHROMA_AUTH_TOKEN = "hunter2"\nFLASK = { SECRET_KEY = "hunter2" }\n'
    )

    result = CliRunner().invoke(main, ["config", "--root", str(tmp_path)])

    lines = [line.split(maxsplit=2) for line in result.output.splitlines()]
    assert ["CHROMA_AUTH_TOKEN", "'********'", ".secrets.toml [default]"] in lines
    assert "hunter2" not in result.output


def test_config_uses_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert f"root: {tmp_path}\n" in CliRunner().invoke(main, ["config"]).output


def test_config_lists_all_faults_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMA_PORT", "x")
    monkeypatch.setenv("MEMAPP_EMBEDER", "hash")

    result = CliRunner().invoke(main, ["config", "--root", str(tmp_path)])

    assert result.exit_code == 1
    assert "  - CHROMA_PORT = 'x'" in result.output
    assert "  - MEMAPP_EMBEDER" in result.output


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("MEMAPP_READERS", "foo", "READERS: 'foo' is neither one of"),
        ("MEMAPP_EMBEDDER", "sentence-transformers", "the package is not installed"),
        ("MEMAPP_EMBEDDER_MODEL_PATH", "/nowhere/m.onnx", "/nowhere/m.onnx cannot be read"),
        ("MEMAPP_EMBEDDER_MODEL_PATH", "/dev/null", "/dev/tokenizer.json cannot be read"),
        ("MEMAPP_EXTENSIONS", "nowhere:x", "EXTENSIONS = 'nowhere:x': there is no module"),
        ("MEMAPP_EXTENSIONS", "json:__name__", "EXTENSIONS = 'json:__name__': has no init_app"),
        ("MEMAPP_EXTENSIONS", "json:loads", "with TypeError: the JSON object must be"),
        ("MEMAPP_BLUEPRINTS", "nowhere:x", "BLUEPRINTS = 'nowhere:x': there is no module"),
        ("MEMAPP_BLUEPRINTS", "json:loads", "BLUEPRINTS = 'json:loads': is a function"),
        ("CHROMA_MODE", "nowhere:x", "CHROMA_MODE = 'nowhere:x': there is no module"),
    ],
)
def test_config_reports_what_the_app_cannot_be_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)

    result = CliRunner().invoke(main, ["config", "--root", str(tmp_path)])

    assert result.exit_code == 1
    first, fault = result.output.splitlines()
    assert first == "Error: invalid configuration:"
    assert words in fault


@pytest.mark.parametrize(
    ("arguments", "words"), [(["config"], "environment: dev"), (["sweep"], "there is no store at")]
)
def test_a_plugin_is_found_beside_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("MEMAPP_EMBEDDER", "plug_beside_settings:create")
    code = "from memapp.embedders.hashing import create\n"
    (tmp_path / "plug_beside_settings.py").write_text(code)

    result = CliRunner().invoke(main, [*arguments, "--root", str(tmp_path)])

    assert words in result.output


def test_config_does_not_let_a_value_write_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('CHROMA_TENANT="a\\u001b[31m\nb"\n')

    result = CliRunner().invoke(main, ["config", "--root", str(tmp_path)])

    assert result.exit_code == 0
    assert len(result.output.splitlines()) == len(DECLARED) + 4
    assert "\x1b" not in result.output


def test_config_prints_the_readmes_table(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", "--markdown", "--root", str(tmp_path)])

    assert result.output == markdown_table()


@pytest.mark.parametrize("place", ["shell", ".env", ".secrets.toml"])
def test_a_new_key_is_let_in_by_any_line_shown_with_it_pasted_as_it_is(
    tmp_path: Path, place: str
) -> None:
    result = CliRunner().invoke(
        main, ["keys", "new", "--tenant", "acme", "--scopes", "memory:read,rag:read"]
    )

    lines = result.output.splitlines()
    (key,) = (line for line in lines if line.startswith("memapp_"))
    begin = {"shell": "export MEMAPP_", ".env": "MEMAPP_", ".secrets.toml": "API_KEYS = "}
    (line,) = (line for line in lines if line.startswith(begin[place]))
    environ = {"ENV_FOR_DYNACONF": "production"}
    if place == "shell":
        asked = ["sh", "-c", f'{line}\nprintf %s "$MEMAPP_API_KEYS"']
        environ["MEMAPP_API_KEYS"] = subprocess.check_output(asked, text=True)
    else:
        (tmp_path / place).write_text(f"{'[production]' * (place != '.env')}\n{line}\n")
    keyring = Keyring.from_entries(load(tmp_path, environ=environ)["API_KEYS"])
    assert keyring.find(key) == Principal("acme", frozenset({"memory:read", "rag:read"}))


def test_a_new_key_may_do_all_unless_told_otherwise() -> None:
    result = CliRunner().invoke(main, ["keys", "new", "--tenant", "acme"])

    assert '["acme all ' in result.output


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--tenant", "A b"], "Invalid value for --tenant: 'A b' is not 1 to 63 of"),
        (["--tenant", "a", "--scopes", "read"], "Invalid value for --scopes: 'read' is not 'all'"),
    ],
)
def test_no_key_is_made_for_a_wrong_tenant_or_scope(arguments: list[str], fault: str) -> None:
    result = CliRunner().invoke(main, ["keys", "new", *arguments])

    assert result.exit_code == 2
    assert fault in result.output
    assert "memapp_" not in result.output


@pytest.mark.parametrize("command", ["sweep", "reembed"])
def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(main, [command, "--root", str(tmp_path)])

    assert result.exit_code == 2
    assert f"there is no store at persistent {tmp_path}/data/chroma_memory and" in result.output
    assert not list(tmp_path.iterdir())


def test_a_store_in_the_memory_of_another_process_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROMA_MODE", "ephemeral")

    result = CliRunner().invoke(main, ["sweep", "--root", str(tmp_path)])

    assert result.exit_code == 2
    assert "the store lies in the app's memory" in result.output


def test_a_sweep_names_the_folders_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMAPP_EMBEDDER", "hash")
    app = create_app(tmp_path)
    app.test_client().post("/v1/memories", json={"user_id": "ann", "text": "tea"})
    app.extensions["memapp.chroma"].close()

    result = CliRunner().invoke(main, ["sweep", "--root", str(tmp_path)])

    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"store: persistent {tmp_path}/data/chroma_memory and {tmp_path}/data/chroma",
        "removed 0 records",
    ]


def test_a_sweep_names_the_server_and_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = str(free_port())
    for name, value in {"MODE": "http", "PORT": port, "AUTH_TOKEN": "hunter2"}.items():
        monkeypatch.setenv(f"CHROMA_{name}", value)

    result = CliRunner().invoke(main, ["sweep", "--root", str(tmp_path)])

    assert result.exit_code == 1
    assert result.output.splitlines()[0] == f"store: http localhost:{port}"
    assert "hunter2" not in result.output


def test_the_commands_do_not_import_what_takes_seconds(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom memapp.cli import main\n"
        f"main(['config', '--root', {str(tmp_path)!r}], standalone_mode=False)\n"
        "print(sorted({'chromadb', 'onnxruntime', 'numpy', 'gunicorn'} & set(sys.modules)))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.splitlines()[-1] == "[]"
