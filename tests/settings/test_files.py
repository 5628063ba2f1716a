import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memapp.settings import load
from tests.settings.loading import faults, only_fault

REPOSITORY = Path(__file__).parents[2]


def test_files_of_parent_folders_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[default]\nCHROMA_PORT = 1\n")
    (tmp_path / ".secrets.toml").write_text('[default]\nCHROMA_AUTH_TOKEN = "t"\n')
    (tmp_path / ".env").write_text("CHROMA_HOST=parent\n")
    root = tmp_path / "app"
    root.mkdir()

    assert dict(load(root, environ={})) == {
        **load(tmp_path / "app", environ={}),
        "CHROMA_PORT": 8000,
        "CHROMA_AUTH_TOKEN": "",
        "CHROMA_HOST": "localhost",
    }


def test_files_of_the_working_directory_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "app"
    for folder, port in ((elsewhere, 1), (root, 2)):
        folder.mkdir()
        (folder / "settings.toml").write_text(f"[default]\nCHROMA_PORT = {port}\n")
    (elsewhere / ".env").write_text("CHROMA_HOST=elsewhere\n")
    monkeypatch.chdir(elsewhere)

    settings = load(root, environ={})

    assert (settings["CHROMA_PORT"], settings["CHROMA_HOST"]) == (2, "localhost")


def test_a_relative_root_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path)

    settings = load(Path("app"), environ={})

    assert settings.root == tmp_path / "app"
    assert settings["CHROMA_DB_PATH"] == str(tmp_path / "app/data/chroma_memory")


def test_relative_paths_start_at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "app"
    root.mkdir()
    monkeypatch.chdir(tmp_path)

    settings = load(root, environ={"CHROMA_PERSIST_DIR": "../rag"})

    assert settings["CHROMA_DB_PATH"] == str(root / "data/chroma_memory")
    assert settings["CHROMA_PERSIST_DIR"] == str(tmp_path / "rag")


def test_absolute_paths_stay(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"

    assert load(tmp_path, {"CHROMA_DB_PATH": folder}, {})["CHROMA_DB_PATH"] == str(folder)


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    settings = load(tmp_path, environ={"CHROMA_DB_PATH": "~/memories"})

    assert settings["CHROMA_DB_PATH"] == str(tmp_path / "home/memories")


def test_an_unknown_users_home_folder_is_refused(tmp_path: Path) -> None:
    fault = only_fault(tmp_path, {"CHROMA_DB_PATH": "~nobody-such/x"})

    assert fault.startswith("CHROMA_DB_PATH = '~nobody-such/x' from environment variable")


def test_an_app_without_files_runs_on_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={})

    assert {settings.source(name) for name in settings} == {"default"}


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert "is not a folder" in only_fault(tmp_path / "missing")


def test_a_file_as_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "is not a folder" in only_fault(tmp_path / "file")


def test_an_installed_package_needs_no_file_beside_its_modules(tmp_path: Path) -> None:
    installed, empty = tmp_path / "site", tmp_path / "empty"
    modules_only = shutil.ignore_patterns("*.toml", "*.json", "*.onnx", "*.data", "__pycache__")
    shutil.copytree(REPOSITORY / "memapp", installed / "memapp", ignore=modules_only)
    empty.mkdir()

    ran = subprocess.run(
        [sys.executable, "-m", "memapp.cli", "config"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(installed),
            "ENV_FOR_DYNACONF": "production",
            "MEMAPP_AUTH": "off",
        },
        cwd=empty,
        capture_output=True,
        text=True,
        check=False,
    )

    rows = [line.split(maxsplit=2) for line in ran.stdout.splitlines()]
    assert ran.stderr == ""
    assert ["CHROMA_MODE", "http", "default in production"] in rows
    assert ["CHROMA_DB_PATH", str(empty / "data/chroma_memory"), "default"] in rows


def test_two_apps_in_one_process_share_nothing(tmp_path: Path) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        root.mkdir()
    (roots[0] / ".env").write_text("CHROMA_HOST=one\nMEMAPP_LOG_LEVEL=DEBUG\n")
    (roots[0] / "settings.toml").write_text("[default]\nCHROMA_PORT = 1\n")
    before = dict(os.environ)

    settings = [load(root) for root in roots]

    assert settings[0]["CHROMA_HOST"] == "one"
    assert [settings[1][name] for name in ("CHROMA_HOST", "CHROMA_PORT", "LOG_LEVEL")] == [
        "localhost",
        8000,
        "INFO",
    ]
    assert dict(os.environ) == before


@pytest.mark.parametrize("file", ["settings.toml", ".secrets.toml"])
def test_a_toml_error_names_file_and_line_and_the_mend(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("[default]\nCHROMA_AUTH_TOKEN = hunter2\n")

    fault = only_fault(tmp_path)

    assert fault.startswith(f"{tmp_path / file}: is not TOML:")
    assert "line 2" in fault
    assert "hunter2" not in fault


@pytest.mark.parametrize("file", ["settings.toml", ".secrets.toml", ".env"])
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"# na\xefve\n")

    assert only_fault(tmp_path) == f"{tmp_path / file}: is not UTF-8 at byte 4; save it as UTF-8"


@pytest.mark.parametrize("file", ["settings.toml", ".secrets.toml", ".env"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).mkdir()

    assert only_fault(tmp_path).startswith(f"{tmp_path / file}: cannot be read: ")


def test_one_broken_file_does_not_hide_the_faults_of_another(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[default\n")
    (tmp_path / ".secrets.toml").write_text("[default]\nCHROMA_PORT = 0\n")

    assert len(faults(tmp_path)) == 2


def test_a_line_of_dotenv_without_a_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# a\n\nCHROMA_HOST=h\nCHROMA_PORT\n")

    assert only_fault(tmp_path) == f"{tmp_path / '.env'} line 4: cannot be read; write NAME=value"


def test_a_line_of_dotenv_with_an_open_quote_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHROMA_HOST=h\nCHROMA_AUTH_TOKEN='hunter2\n")

    assert only_fault(tmp_path) == f"{tmp_path / '.env'} line 2: cannot be read; write NAME=value"


def test_dotenv_may_export_its_variables(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("export CHROMA_HOST=h\n")

    assert load(tmp_path, environ={})["CHROMA_HOST"] == "h"


def test_dotenv_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("\ufeffCHROMA_HOST=h\n", encoding="utf-8")

    assert load(tmp_path, environ={})["CHROMA_HOST"] == "h"


@pytest.mark.parametrize("has_separators", [True, False])
def test_what_is_meant_for_another_dynaconf_changes_nothing(
    tmp_path: Path, *, has_separators: bool
) -> None:
    (tmp_path / "settings.toml").write_text(
        '[default]\nCHROMA_PORT = 1\nREADERS = ["text"]\nFLASK = { A = "@format x" }\n'
        f'[development]\nREADERS = ["html"]\nEMBEDDER_MODEL_SHA256 = "{"a" * 64}"\n'
    )
    other = tmp_path / "other"
    other.mkdir()
    (other / "settings.toml").write_text("[default\n")
    (other / ".env").write_text("CHROMA_RETRIES=7\n")
    hostile = {
        "SETTINGS_FILE_FOR_DYNACONF": str(other / "settings.toml"),
        "SECRETS_FOR_DYNACONF": str(other / "settings.toml"),
        "INCLUDES_FOR_DYNACONF": str(other / "settings.toml"),
        "PRELOAD_FOR_DYNACONF": str(other / "settings.toml"),
        "ROOT_PATH_FOR_DYNACONF": str(other),
        "ENVIRONMENTS_FOR_DYNACONF": "false",
        "DEFAULT_ENV_FOR_DYNACONF": "production",
        "FORCE_ENV_FOR_DYNACONF": "production",
        "MERGE_ENABLED_FOR_DYNACONF": "true",
        "AUTO_CAST_FOR_DYNACONF": "true",
        "LOAD_DOTENV_FOR_DYNACONF": "true",
        "DYNACONF_CHROMA_PORT": "@int x",
    }
    if has_separators:
        hostile |= {"NESTED_SEPARATOR_FOR_DYNACONF": "_", "INDEX_SEPARATOR_FOR_DYNACONF": "A"}
    program = (
        "import json, os; from pathlib import Path; from memapp.settings import load\n"
        f"settings = load(Path({str(tmp_path)!r}))\n"
        "print(json.dumps([settings[n] for n in ('CHROMA_PORT', 'CHROMA_RETRIES', 'READERS')] "
        "+ [settings['EMBEDDER_MODEL_SHA256'], settings['FLASK']['A'], "
        "'CHROMA_RETRIES' in os.environ]))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **hostile},
        cwd=other,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stderr == ""
    assert json.loads(ran.stdout) == [1, 2, ["html"], "a" * 64, "@format x", False]
