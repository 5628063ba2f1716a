from pathlib import Path

import pytest

from memapp.settings import load
from tests.settings.loading import faults, only_fault


def test_an_unknown_memapp_variable_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert only_fault(tmp_path, {"MEMAPP_EMBEDER": "hash"}) == (
        "MEMAPP_EMBEDER in the environment: there is no such setting; did you mean MEMAPP_EMBEDDER?"
    )


def test_an_unknown_memapp_variable_like_no_other_is_refused(tmp_path: Path) -> None:
    assert only_fault(tmp_path, {"MEMAPP_ZZZ": "1"}).startswith("MEMAPP_ZZZ in the environment:")


@pytest.mark.parametrize("name", ["MEMAPP_ENV", "MEMAPP_ENVIRONMENT", "MEMAPP_ENV_FOR_DYNACONF"])
def test_a_variable_meant_to_choose_the_environment_is_pointed_to_the_one_that_does(
    tmp_path: Path, name: str
) -> None:
    assert only_fault(tmp_path, {name: "production"}) == (
        f"{name} in the environment: there is no such setting; did you mean ENV_FOR_DYNACONF?"
    )


def test_a_misspelt_prefix_is_refused(tmp_path: Path) -> None:
    assert only_fault(tmp_path, {"MEMAP_AUTH": "keys"}).endswith("did you mean MEMAPP_AUTH?")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CHROMA_PROT", "CHROMA_PORT"),
        ("CHROMA_AUTHTOKEN", "CHROMA_AUTH_TOKEN"),
        ("CHROMA_PERSIST_DIRECTORY", "CHROMA_PERSIST_DIR"),
    ],
)
def test_a_slip_in_a_chroma_variable_is_refused(tmp_path: Path, name: str, meant: str) -> None:
    assert only_fault(tmp_path, {name: "x"}).endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # Kubernetes, for services called chroma, chroma-gate, memapp and memapp-chroma.
        ("CHROMA_SERVICE_HOST", "10.0.0.1"),
        ("CHROMA_SERVICE_PORT", "8000"),
        ("CHROMA_SERVICE_PORT_HTTP", "8000"),
        ("CHROMA_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
        ("CHROMA_PORT_8000_TCP_PROTO", "tcp"),
        ("CHROMA_PORT_8000_TCP_PORT", "8000"),
        ("CHROMA_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("CHROMA_GATE_PORT", "tcp://10.0.0.1:8000"),
        ("MEMAPP_SERVICE_HOST", "10.0.0.2"),
        ("MEMAPP_PORT", "tcp://10.0.0.2:80"),
        ("MEMAPP_PORT_80_TCP_ADDR", "10.0.0.2"),
        ("MEMAPP_CHROMA_SERVICE_HOST", "10.0.0.1"),
        # What stock Dynaconf crashes on.
        ("CHROMA_PORT__x", "1"),
        ("X__foo", "1"),
        # Chroma's own server and client.
        ("CHROMA_SERVER_HOST", "h"),
        ("CHROMA_SERVER_AUTHN_PROVIDER", "p"),
        ("CHROMA_OTEL_GRANULARITY", "all"),
        # Other programs.
        ("CHROMA_COLLECTION", "c"),
        ("CHROMA_VERSION", "1.5.9"),
        ("CHROME_HOST", "h"),
        ("DEBUG", "release"),
        ("DYNACONF_CHROMA_HOST", "h"),
        ("chroma_host", "h"),
    ],
)
def test_a_strangers_variable_changes_nothing(tmp_path: Path, name: str, value: str) -> None:
    settings = load(tmp_path, environ={name: value})

    assert dict(settings) == dict(load(tmp_path, environ={}))


def test_an_unknown_chroma_name_in_dotenv_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHROMA_TIMEOUT=5\n")

    assert only_fault(tmp_path).startswith("CHROMA_TIMEOUT in .env: there is no such setting")


def test_chromas_own_variables_may_stand_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHROMA_SERVER_CORS_ALLOW_ORIGINS=x\nCOMPOSE_PROJECT_NAME=p\n")

    load(tmp_path, environ={})


def test_a_setting_without_its_prefix_in_dotenv_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-1\n")

    assert only_fault(tmp_path) == (
        "OPENAI_API_KEY in .env: is not read without its prefix; write MEMAPP_OPENAI_API_KEY"
    )


@pytest.mark.parametrize("file", ["settings.toml", ".secrets.toml"])
@pytest.mark.parametrize("section", ["default", "development", "production"])
def test_an_unknown_name_in_any_section_is_refused(tmp_path: Path, file: str, section: str) -> None:
    (tmp_path / file).write_text(f"[{section}]\nSEARCH_POL = 100\n")

    assert only_fault(tmp_path) == (
        f"SEARCH_POL in {file} [{section}]: there is no such setting; did you mean SEARCH_POOL?"
    )


def test_a_prefixed_name_in_a_settings_file_is_refused_with_the_bare_one(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[default]\nMEMAPP_EMBEDDER = "hash"\n')

    assert only_fault(tmp_path).endswith("did you mean EMBEDDER?")


def test_a_name_like_no_setting_in_a_file_is_pointed_to_the_table_for_plugins(
    tmp_path: Path,
) -> None:
    (tmp_path / "settings.toml").write_text('[default]\nZZ_QQ = "1"\n')

    assert only_fault(tmp_path).endswith(
        "settings of Flask and of plug-ins go into the table FLASK"
    )


def test_a_dotted_name_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[default]\nCHROMA_PORT = 1\n"CHROMA_PORT.x" = 1\n"CHROMA_PORT__x" = 1\n'
    )

    dotted, underlined = faults(tmp_path)

    assert dotted.startswith("CHROMA_PORT.x in settings.toml [default]: there is no such setting")
    assert underlined.startswith("CHROMA_PORT__x in settings.toml [default]:")


def test_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    assert only_fault(tmp_path, CHROMA_HOTS="x") == (
        "CHROMA_HOTS as argument of create_app: there is no such setting; did you mean CHROMA_HOST?"
    )


def test_an_unknown_section_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[prodution]\nCHROMA_PORT = 1\n")

    assert only_fault(tmp_path) == (
        "settings.toml: there is no section [prodution], only [default], [development], "
        "[production]; did you mean [production]?"
    )


def test_a_setting_outside_every_section_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("CHROMA_PORT = 1\n")

    assert only_fault(tmp_path) == (
        "settings.toml: CHROMA_PORT stands outside a section; move it under [default]"
    )
