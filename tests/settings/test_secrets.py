import pprint
from pathlib import Path

import pytest
from flask import Flask

from memapp.settings import DECLARED, SecretText, load
from tests.settings.loading import KEY_ENTRY, faults

SECRET = "hunter2"
DIGEST = KEY_ENTRY.split()[-1]

GIVEN = {
    "CHROMA_AUTH_TOKEN": SECRET,
    "CHROMA_API_KEY": SECRET,
    "CHROMA_HEADERS": {"X-Team": SECRET},
    "OPENAI_API_KEY": SECRET,
    "API_KEYS": [KEY_ENTRY],
    "FLASK": {"SECRET_KEY": SECRET, "DEEP": {"LIST": [SECRET]}},
}


def test_every_secret_is_given_in_these_tests() -> None:
    assert set(GIVEN) == {setting.name for setting in DECLARED if setting.secret}


def test_no_repr_of_the_settings_or_of_a_part_shows_a_secret(tmp_path: Path) -> None:
    settings = load(tmp_path, GIVEN, {})

    shown = [repr(settings), str(settings), f"{settings}", repr(settings.as_dict())]
    shown += [repr(dict(settings)), pprint.pformat(dict(settings)), repr(list(settings.items()))]
    shown += [repr(settings[name]) for name in GIVEN]
    shown += [settings.shown(name) for name in settings]
    shown += [settings.source(name) for name in settings]

    assert SECRET not in "\n".join(shown)
    assert DIGEST not in "\n".join(shown)


def test_flasks_config_does_not_show_a_secret(tmp_path: Path) -> None:
    app = Flask("app")
    app.config.from_mapping(load(tmp_path, GIVEN, {}).as_dict())

    assert app.config["CHROMA_AUTH_TOKEN"] == SECRET
    assert SECRET not in repr(app.config)
    assert DIGEST not in repr(app.config)


def test_a_masked_secret_does_not_tell_its_length(tmp_path: Path) -> None:
    short, long = (
        load(tmp_path, {"CHROMA_AUTH_TOKEN": token}, {}).shown("CHROMA_AUTH_TOKEN")
        for token in ("a", "a" * 50)
    )

    assert short == long


def test_a_missing_secret_is_told_from_a_given_one(tmp_path: Path) -> None:
    assert load(tmp_path, environ={}).shown("CHROMA_AUTH_TOKEN") == ""


def test_a_secret_is_text_in_every_other_way() -> None:
    secret = SecretText(SECRET)

    assert secret == SECRET
    assert f"Bearer {secret}" == "Bearer hunter2"
    assert str(secret) == SECRET
    assert repr(secret) == "'********'"


@pytest.mark.parametrize(
    "wrong",
    [
        {"CHROMA_AUTH_TOKEN": f"{SECRET} \n", "CHROMA_MODE": "http"},
        {"CHROMA_AUTH_TOKN": SECRET},
        {"CHROMA_HEADERS": f'{{"X-Team": "{SECRET}\\n"}}'},
        {"CHROMA_HEADERS": f'{{"{SECRET}'},
        {"MEMAPP_API_KEYS": f"acme all {SECRET}"},
        {"MEMAPP_API_KEYS": f"{SECRET}"},
        {"MEMAPP_API_KEYS": f"[{SECRET}"},
        {"MEMAPP_API_KEYS": f"acme {SECRET} {'0' * 64}"},
        {"MEMAPP_OPENAI_API_KEY": f"{SECRET}\n"},
        {"MEMAPP_FLASK": SECRET},
        {"MEMAPP_FLASK": f'{{"secret_key": "{SECRET}"}}'},
        {"MEMAPP_OPENAI_BASE_URL": f"http://user:{SECRET}@host/v1"},
        {"CHROMA_HOST": f"http://user:{SECRET}@host"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_no_fault_shows_a_secret_from_the_environment(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    assert SECRET not in "\n".join(faults(tmp_path, wrong))


@pytest.mark.parametrize(
    "line",
    [
        f"CHROMA_AUTH_TOKEN = ['{SECRET}']",
        f"CHROMA_HEADERS = {{ X = ['{SECRET}'] }}",
        f"CHROMA_AUTH_TOKN = '{SECRET}'",
        f"CHROMA_AUTH_TOKEN = {SECRET}",
        f"CHROMA_AUTH_TOKEN = '{SECRET}",
        f"CHROMA_AUTH_TOKEN = '{SECRET}'\nCHROMA_AUTH_TOKEN = '{SECRET}'",
    ],
)
def test_no_fault_shows_a_secret_from_a_file(tmp_path: Path, line: str) -> None:
    (tmp_path / ".secrets.toml").write_text(f"[default]\n{line}\n")

    assert SECRET not in "\n".join(faults(tmp_path))


def test_no_fault_of_dotenv_shows_a_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'{SECRET}\nCHROMA_AUTH_TOKEN="{SECRET}\n')

    assert SECRET not in "\n".join(faults(tmp_path))
