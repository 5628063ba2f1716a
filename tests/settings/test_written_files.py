import tomllib
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from memapp.settings import DECLARED, Setting, load, markdown_table
from memapp.settings.document import as_toml, comment, env_example, secrets_example

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "settings.toml").read_text(encoding="utf-8")

every_setting = pytest.mark.parametrize("setting", DECLARED, ids=lambda setting: setting.name)


@every_setting
def test_settings_toml_holds_every_setting_with_its_help(setting: Setting) -> None:
    assert "\n".join(comment(setting)) in SETTINGS
    assert f"\n# {setting.name} = {as_toml(setting.default)}\n" in SETTINGS


def test_settings_toml_holds_no_other_name() -> None:
    names = {
        line.removeprefix("# ").split(" = ")[0]
        for line in SETTINGS.splitlines()
        if line.removeprefix("# ").split(" = ")[0].isupper()
    }

    assert names == {setting.name for setting in DECLARED}


@pytest.mark.parametrize("environment", ["development", "production"])
def test_settings_toml_as_shipped_changes_no_default(tmp_path: Path, environment: str) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS)
    empty = tmp_path / "empty"
    empty.mkdir()
    environ = {"ENV_FOR_DYNACONF": environment, "MEMAPP_AUTH": "off"}
    paths = {"CHROMA_DB_PATH": tmp_path / "a", "CHROMA_PERSIST_DIR": tmp_path / "b"}

    assert dict(load(tmp_path, paths, environ)) == dict(load(empty, paths, environ))


def test_every_default_written_in_settings_toml_is_accepted(tmp_path: Path) -> None:
    uncommented = [
        line.removeprefix("# ") if line.removeprefix("# ").split(" = ")[0].isupper() else line
        for line in SETTINGS.splitlines()
    ]
    (tmp_path / "settings.toml").write_text("\n".join(uncommented))

    settings = load(tmp_path, environ={})

    assert {settings.source(name).split(" ")[0] for name in settings} == {"settings.toml"}
    assert settings.as_dict() == load(tmp_path, environ={}).as_dict()


@pytest.mark.parametrize(
    ("name", "text"),
    [(".env.example", env_example()), (".secrets.toml.example", secrets_example())],
)
def test_the_example_files_are_what_the_declarations_say(name: str, text: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")

    assert written == text, "run scripts/write_documents.py"


def test_the_example_of_dotenv_sets_the_names_that_deployments_use() -> None:
    assert list(dotenv_values(stream=StringIO(env_example()))) == [
        "ENV_FOR_DYNACONF",
        "CHROMA_MODE",
        "CHROMA_DB_PATH",
        "CHROMA_PERSIST_DIR",
        "CHROMA_HOST",
        "CHROMA_PORT",
        "CHROMA_AUTH_TOKEN",
    ]


@every_setting
def test_the_example_of_dotenv_holds_every_setting(setting: Setting) -> None:
    assert f"{setting.variables[0]}=" in env_example()


def test_the_example_of_secrets_is_toml_with_every_secret() -> None:
    text = secrets_example()

    tomllib.loads(text)
    assert all(f"# {setting.name} = " in text for setting in DECLARED if setting.secret)


@every_setting
def test_the_table_holds_every_setting_with_its_help(setting: Setting) -> None:
    rows = [line for line in markdown_table().splitlines() if f"| `{setting.name}` |" in line]

    assert len(rows) == 1
    assert setting.help in rows[0]
    assert rows[0].count(" | ") == 3


@every_setting
def test_every_default_keeps_its_own_rule(setting: Setting) -> None:
    for default in (setting.default, setting.production, setting.cloud):
        if default is not None:
            assert setting.kind.parse(default) == default


@every_setting
def test_every_setting_is_declared_readably(setting: Setting) -> None:
    assert setting.name.isupper()
    assert setting.help.endswith(".")
    assert "\n" not in setting.help


def test_every_setting_is_declared_once() -> None:
    assert len({setting.name for setting in DECLARED}) == len(DECLARED)


def test_the_mode_is_declared_first_because_other_defaults_follow_it() -> None:
    assert DECLARED[0].name == "CHROMA_MODE"
