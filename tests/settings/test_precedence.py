from pathlib import Path

import pytest

from memapp.settings import load

LAYERS = ("default", "settings.toml", ".secrets.toml", ".env", "environment", "argument")


def _load_up_to(root: Path, layer: str) -> tuple[int, str]:
    """Load CHROMA_PORT with every layer up to `layer` giving its own value."""
    height = LAYERS.index(layer)
    if height >= 1:
        (root / "settings.toml").write_text("[default]\nCHROMA_PORT = 1\n")
    if height >= 2:
        (root / ".secrets.toml").write_text("[default]\nCHROMA_PORT = 2\n")
    if height >= 3:
        (root / ".env").write_text("CHROMA_PORT=3\n")
    settings = load(
        root,
        {"CHROMA_PORT": 5} if height >= 5 else {},
        {"CHROMA_PORT": "4"} if height >= 4 else {},
    )
    return settings["CHROMA_PORT"], settings.source("CHROMA_PORT")


@pytest.mark.parametrize(
    ("layer", "port", "source"),
    [
        ("default", 8000, "default"),
        ("settings.toml", 1, "settings.toml [default]"),
        (".secrets.toml", 2, ".secrets.toml [default]"),
        (".env", 3, ".env"),
        ("environment", 4, "environment variable CHROMA_PORT"),
        ("argument", 5, "argument of create_app"),
    ],
)
def test_a_higher_layer_wins_and_is_named_as_the_source(
    tmp_path: Path, layer: str, port: int, source: str
) -> None:
    assert _load_up_to(tmp_path, layer) == (port, source)


def test_the_section_of_the_environment_wins_over_the_default_section(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[production]\nCHROMA_HOST = "prod"\n[default]\nCHROMA_HOST = "any"\n'
    )

    settings = load(tmp_path, {"AUTH": "off"}, {"ENV_FOR_DYNACONF": "production"})

    assert settings["CHROMA_HOST"] == "prod"
    assert settings.source("CHROMA_HOST") == "settings.toml [production]"


def test_the_section_of_another_environment_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[production]\nCHROMA_HOST = "prod"\n')

    assert load(tmp_path, environ={})["CHROMA_HOST"] == "localhost"


def test_a_chroma_name_wins_over_its_memapp_twin(tmp_path: Path) -> None:
    environ = {"MEMAPP_CHROMA_HOST": "twin", "CHROMA_HOST": "bare"}

    settings = load(tmp_path, environ=environ)

    assert settings["CHROMA_HOST"] == "bare"
    assert settings.source("CHROMA_HOST") == "environment variable CHROMA_HOST"


def test_a_chroma_name_wins_over_its_memapp_twin_in_dotenv_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHROMA_HOST=bare\nMEMAPP_CHROMA_HOST=twin\n")

    assert load(tmp_path, environ={})["CHROMA_HOST"] == "bare"


def test_a_memapp_twin_in_the_process_wins_over_a_chroma_name_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHROMA_HOST=file\n")

    settings = load(tmp_path, environ={"MEMAPP_CHROMA_HOST": "process"})

    assert settings["CHROMA_HOST"] == "process"


def test_every_setting_can_be_given_with_the_memapp_prefix(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={"MEMAPP_AUTH": "off", "MEMAPP_EMBEDDER": "hash"})

    assert settings["EMBEDDER"] == "hash"
    assert settings.source("AUTH") == "environment variable MEMAPP_AUTH"


def test_a_name_without_prefix_is_left_to_other_programs(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"LOG_LEVEL": "chatty"})["LOG_LEVEL"] == "INFO"


def test_an_empty_variable_counts_as_not_given(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CHROMA_HOST=file\n")

    assert load(tmp_path, environ={"CHROMA_HOST": ""})["CHROMA_HOST"] == "file"


def test_an_argument_of_none_counts_as_not_given(tmp_path: Path) -> None:
    assert load(tmp_path, {"CHROMA_HOST": None}, {})["CHROMA_HOST"] == "localhost"


def test_production_has_defaults_of_its_own(tmp_path: Path) -> None:
    settings = load(tmp_path, {"AUTH": "off"}, {"ENV_FOR_DYNACONF": "production"})

    assert settings["CHROMA_MODE"] == "http"
    assert settings.source("CHROMA_MODE") == "default in production"


def test_chroma_cloud_has_smaller_batches_by_default(tmp_path: Path) -> None:
    settings = load(tmp_path, {"CHROMA_MODE": "cloud", "CHROMA_API_KEY": "ck-1"}, {})

    assert settings["CHROMA_BATCH_SIZE"] == 300


def test_a_given_batch_size_holds_for_chroma_cloud_too(tmp_path: Path) -> None:
    arguments = {"CHROMA_MODE": "cloud", "CHROMA_API_KEY": "ck-1", "CHROMA_BATCH_SIZE": 7}

    assert load(tmp_path, arguments, {})["CHROMA_BATCH_SIZE"] == 7
