from pathlib import Path

import pytest

from memapp.errors import ConfigurationError
from memapp.settings import load, refuse_workers
from memapp.settings.document import env_example, secrets_example
from tests.settings.loading import KEY_ENTRY, faults, only_fault

PRODUCTION = {"ENV_FOR_DYNACONF": "production"}
KEYS = {"MEMAPP_API_KEYS": KEY_ENTRY}


def test_production_starts_with_a_key(tmp_path: Path) -> None:
    settings = load(tmp_path, environ=PRODUCTION | KEYS)

    assert (settings["AUTH"], settings["CHROMA_MODE"]) == ("keys", "http")


def test_production_without_keys_is_refused(tmp_path: Path) -> None:
    assert only_fault(tmp_path, PRODUCTION) == (
        "API_KEYS: is required with AUTH = 'keys' from default in production; make a key with "
        "'memapp keys new --tenant NAME' and paste the line it prints, or write out "
        'AUTH = "off" if everyone may do everything'
    )


@pytest.mark.parametrize("source", ["settings.toml", ".env", "environment", "argument"])
def test_production_without_keys_starts_where_auth_off_is_written_out(
    tmp_path: Path, source: str
) -> None:
    if source == "settings.toml":
        (tmp_path / source).write_text('[production]\nAUTH = "off"\n')
    if source == ".env":
        (tmp_path / source).write_text("MEMAPP_AUTH=off\n")
    environ = {"MEMAPP_AUTH": "off"} if source == "environment" else {}
    arguments = {"AUTH": "off"} if source == "argument" else {}

    assert load(tmp_path, arguments, PRODUCTION | environ)["AUTH"] == "off"


@pytest.mark.parametrize("mode", ["persistent", "ephemeral"])
@pytest.mark.parametrize(
    ("workers", "source"),
    [
        ({"WEB_CONCURRENCY": "4"}, "environment variable WEB_CONCURRENCY"),
        ({"GUNICORN_CMD_ARGS": "-w 4"}, "environment variable GUNICORN_CMD_ARGS"),
        ({"GUNICORN_CMD_ARGS": "--bind :1 --workers=4"}, "environment variable GUNICORN_CMD_ARGS"),
    ],
)
def test_production_refuses_embedded_chroma_under_several_workers(
    tmp_path: Path, mode: str, workers: dict[str, str], source: str
) -> None:
    fault = only_fault(tmp_path, PRODUCTION | KEYS | {"CHROMA_MODE": mode} | workers)

    assert fault.startswith(
        f"CHROMA_MODE = '{mode}' from environment variable CHROMA_MODE, with 4 workers ({source}): "
    )
    assert fault.endswith("set CHROMA_MODE=http and run a Chroma server, or run one worker")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_gunicorns_command_line_is_heard_where_the_app_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    for name in ("WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENV_FOR_DYNACONF", environment)
    monkeypatch.setattr("sys.argv", ["/venv/bin/gunicorn", "-w", "4", "wsgi:app"])

    with pytest.raises(ConfigurationError, match=r"4 workers \(gunicorn's command line\)"):
        load(tmp_path, {"AUTH": "off", "CHROMA_MODE": "ephemeral"})


def test_production_may_use_embedded_chroma_under_one_worker(tmp_path: Path) -> None:
    environ = PRODUCTION | KEYS | {"CHROMA_MODE": "persistent", "WEB_CONCURRENCY": "1"}

    refuse_workers(load(tmp_path, environ=environ), 1)


def test_several_workers_over_a_server_are_fine(tmp_path: Path) -> None:
    refuse_workers(load(tmp_path, environ=PRODUCTION | KEYS | {"WEB_CONCURRENCY": "4"}), 4)


@pytest.mark.parametrize("environ", [PRODUCTION | KEYS, {}], ids=["production", "development"])
def test_a_server_that_starts_several_workers_is_refused_embedded_chroma(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    settings = load(tmp_path, environ=environ | {"CHROMA_MODE": "persistent"})

    with pytest.raises(ConfigurationError, match=r"with 2 workers \(the server\)"):
        refuse_workers(settings, 2)


def test_another_program_than_gunicorn_may_run_in_development_beside_its_variables(
    tmp_path: Path,
) -> None:
    assert load(tmp_path, environ={"WEB_CONCURRENCY": "4"})["CHROMA_MODE"] == "persistent"


@pytest.mark.parametrize(
    ("variable", "example"),
    [
        ("CHROMA_AUTH_TOKEN", "change-me"),
        ("CHROMA_AUTH_TOKEN", "CHANGEME"),
        ("CHROMA_AUTH_TOKEN", "please-change-me-now"),
        ("CHROMA_AUTH_TOKEN", "your-token-here"),
        ("CHROMA_AUTH_TOKEN", "<token>"),
        ("CHROMA_AUTH_TOKEN", "secret"),
        ("CHROMA_AUTH_TOKEN", "xxxxxxxx"),
        ("CHROMA_AUTH_TOKEN", "my-example-token"),
        ("CHROMA_API_KEY", "change-me"),
        ("MEMAPP_OPENAI_API_KEY", "sk-..."),
        ("MEMAPP_API_KEYS", f"acme all {'0' * 64}"),
    ],
)
def test_production_refuses_an_example_secret(tmp_path: Path, variable: str, example: str) -> None:
    fault = only_fault(tmp_path, PRODUCTION | KEYS | {variable: example})

    name = variable.removeprefix("MEMAPP_")
    assert fault.startswith(f"{name} from environment variable {variable}: ")
    assert "still holds an example" in fault
    assert example not in fault


@pytest.mark.parametrize(
    "token",
    [
        "8f14e45fceea167a5a36dedd4bea2543",
        "examplesque",
        "contest",
        "A1b2C3d4+/==",
        "x1x2",
    ],
)
def test_production_takes_a_secret_that_is_no_example(tmp_path: Path, token: str) -> None:
    environ = PRODUCTION | KEYS | {"CHROMA_AUTH_TOKEN": token}

    assert load(tmp_path, environ=environ)["CHROMA_AUTH_TOKEN"] == token


def test_a_tenant_called_example_is_no_example_secret(tmp_path: Path) -> None:
    load(tmp_path, environ=PRODUCTION | {"MEMAPP_API_KEYS": KEY_ENTRY.replace("acme", "example")})


def test_development_takes_an_example_secret(tmp_path: Path) -> None:
    load(tmp_path, environ={"CHROMA_AUTH_TOKEN": "change-me"})


def test_the_example_secrets_file_filled_in_as_it_is_is_refused_in_production(
    tmp_path: Path,
) -> None:
    lines = secrets_example().splitlines()
    filled = [line.removeprefix("# ") if " = " in line else line for line in lines]
    (tmp_path / ".secrets.toml").write_text("\n".join(filled))

    found = faults(tmp_path, PRODUCTION)

    assert [fault.split(" ")[0] for fault in found] == [
        "CHROMA_AUTH_TOKEN",
        "CHROMA_API_KEY",
        "OPENAI_API_KEY",
        "API_KEYS",
    ]


def test_the_example_of_dotenv_as_it_is_runs_in_both_environments(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(env_example())

    assert load(tmp_path, environ={})["CHROMA_MODE"] == "persistent"
    assert load(tmp_path, environ=PRODUCTION | KEYS)["CHROMA_MODE"] == "http"
