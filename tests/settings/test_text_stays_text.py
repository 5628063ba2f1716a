import json
from pathlib import Path

import pytest

from memapp.settings import load

AWKWARD = [
    "123456",
    "0123",
    "1_000",
    "1e5",
    "1.10",
    "0x1F",
    "+5",
    "true",
    "True",
    "null",
    "@none",
    "@int 5",
    "@int x",
    "@format {this.CHROMA_HOST}",
    "@jinja {{ 1 }}",
    "@read_file /etc/hostname",
    "@merge x",
    " 5 # x",
    " sp ",
    "[a]",
    "[1, 2]",
    "{a = 1}",
    "'q'",
    '"q"',
    "2020-01-01",
    "${HOME}",
    "$HOME",
    "a=b",
    "a\\nb",
    "line one\nline two\n",
    "dynaconf_merge",
    "tschüß",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_text_from_the_environment_stays_text(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, environ={"CHROMA_AUTH_TOKEN": text})["CHROMA_AUTH_TOKEN"] == text


@pytest.mark.parametrize("text", AWKWARD)
def test_text_in_dotenv_stays_text_in_single_quotes(tmp_path: Path, text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    (tmp_path / ".env").write_text(f"CHROMA_AUTH_TOKEN='{escaped}'\n", encoding="utf-8")

    assert load(tmp_path, environ={})["CHROMA_AUTH_TOKEN"] == text


@pytest.mark.parametrize(
    "text",
    [
        text
        for text in AWKWARD
        if text == text.strip() and text[0] not in "'\"" and " #" not in text
    ],
)
def test_bare_text_in_dotenv_stays_text(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(f"CHROMA_AUTH_TOKEN={text}\n", encoding="utf-8")

    assert load(tmp_path, environ={})["CHROMA_AUTH_TOKEN"] == text


@pytest.mark.parametrize("text", AWKWARD)
def test_text_in_a_settings_file_stays_text(tmp_path: Path, text: str) -> None:
    (tmp_path / ".secrets.toml").write_text(
        f"[default]\nCHROMA_AUTH_TOKEN = {json.dumps(text)}\n", encoding="utf-8"
    )

    assert load(tmp_path, environ={})["CHROMA_AUTH_TOKEN"] == text


@pytest.mark.parametrize("text", AWKWARD)
def test_text_as_an_argument_stays_text(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, {"CHROMA_AUTH_TOKEN": text}, {})["CHROMA_AUTH_TOKEN"] == text


@pytest.mark.parametrize("text", AWKWARD)
def test_text_within_a_table_stays_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.toml").write_text(
        f"[default.FLASK]\nSOME_KEY = {json.dumps(text)}\n", encoding="utf-8"
    )

    assert load(tmp_path, environ={})["FLASK"]["SOME_KEY"] == text


def test_flask_exporting_dotenv_does_not_change_its_texts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHROMA_AUTH_TOKEN=pa${HOME}ss\n")
    as_flask_exports_it = {"HOME": "/h", "CHROMA_AUTH_TOKEN": "pa/hss"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/h")
        settings = load(tmp_path, environ=as_flask_exports_it)

    assert settings["CHROMA_AUTH_TOKEN"] == "pa${HOME}ss"
    assert settings.source("CHROMA_AUTH_TOKEN") == ".env"
