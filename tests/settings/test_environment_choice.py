from pathlib import Path

import pytest

from memapp.settings import load
from tests.settings.loading import faults, only_fault


def test_the_environment_is_development_unless_chosen(tmp_path: Path) -> None:
    assert load(tmp_path, environ={}).environment == "development"


@pytest.mark.parametrize("name", ["production", "PRODUCTION", "Production"])
def test_the_environment_is_chosen_in_any_case(tmp_path: Path, name: str) -> None:
    settings = load(tmp_path, {"AUTH": "off"}, {"ENV_FOR_DYNACONF": name})

    assert settings.environment == "production"


def test_the_environment_can_be_chosen_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ENV_FOR_DYNACONF=production\n")

    assert load(tmp_path, {"AUTH": "off"}, {}).environment == "production"


def test_the_process_chooses_the_environment_before_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ENV_FOR_DYNACONF=production\n")

    settings = load(tmp_path, environ={"ENV_FOR_DYNACONF": "development"})

    assert settings.environment == "development"


def test_a_misspelt_environment_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert only_fault(tmp_path, {"ENV_FOR_DYNACONF": "prodution"}, AUTH="off") == (
        "ENV_FOR_DYNACONF = 'prodution' from environment variable ENV_FOR_DYNACONF: there is no "
        "such environment, only development and production; did you mean 'production'?"
    )


def test_a_misspelt_environment_in_dotenv_names_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ENV_FOR_DYNACONF=develop\n")

    fault = only_fault(tmp_path)

    assert fault.startswith("ENV_FOR_DYNACONF = 'develop' from .env:")
    assert fault.endswith("did you mean 'development'?")


def test_several_environments_at_once_are_refused(tmp_path: Path) -> None:
    environ = {"ENV_FOR_DYNACONF": "production,staging"}

    assert "there is no such environment" in faults(tmp_path, environ)[0]


def test_the_other_faults_are_those_of_the_environment_that_was_meant(tmp_path: Path) -> None:
    found = faults(tmp_path, {"ENV_FOR_DYNACONF": "prodution"})

    assert any(fault.startswith("API_KEYS: is required") for fault in found)


@pytest.mark.parametrize(
    "name", ["ENV_FOR_DYNACOF", "ENV_FOR_DYNACONFIG", "ENV_FOR_DYNA_CONF", "EVN_FOR_DAYNACONF"]
)
def test_a_misspelt_switch_is_refused(tmp_path: Path, name: str) -> None:
    assert only_fault(tmp_path, {name: "production"}) == (
        f"{name} in the environment: did you mean ENV_FOR_DYNACONF?"
    )


def test_a_misspelt_switch_in_dotenv_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ENV_FOR_DYNACOF=production\n")

    assert only_fault(tmp_path) == "ENV_FOR_DYNACOF in .env: did you mean ENV_FOR_DYNACONF?"


def test_dynaconfs_own_variables_are_no_misspelt_switch(tmp_path: Path) -> None:
    load(tmp_path, environ={"ENVVAR_FOR_DYNACONF": "X", "ENCODING_FOR_DYNACONF": "utf-8"})


def test_the_switch_in_a_settings_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[default]\nENV_FOR_DYNACONF = "production"\n')

    assert only_fault(tmp_path) == (
        "ENV_FOR_DYNACONF in settings.toml [default]: is read from the environment and .env only; "
        "set it there"
    )
