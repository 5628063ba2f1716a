from collections.abc import Mapping
from pathlib import Path

import pytest

from memapp.settings import load
from tests.settings.loading import KEY_ENTRY, faults, only_fault


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("CHROMA_PORT", "9000", 9000),
        ("CHROMA_PORT", " 9000\n", 9000),
        ("CHROMA_SSL", "true", True),
        ("CHROMA_SSL", "No", False),
        ("CHROMA_SSL", "1", True),
        ("CHROMA_READ_TIMEOUT", "2.5", 2.5),
        ("CHROMA_READ_TIMEOUT", "1e1", 10.0),
        ("CHROMA_HOST", "::1", "::1"),
        ("CHROMA_HOST", "[::1]", "[::1]"),
        ("CHROMA_HOST", "chroma_db.internal.", "chroma_db.internal."),
        ("MEMAPP_READERS", "text, html", ("text", "html")),
        ("MEMAPP_READERS", '["text", "html"]', ("text", "html")),
        ("MEMAPP_READERS", "['text', 'html',]", ("text", "html")),
        ("MEMAPP_READERS", "my.readers:Pdf", ("my.readers:Pdf",)),
        ("MEMAPP_READERS", "[]", ()),
        ("CHROMA_HEADERS", '{"X-Team": "a"}', {"X-Team": "a"}),
        ("CHROMA_HEADERS", "{X-Team = 'a'}", {"X-Team": "a"}),
        ("CHROMA_MODE", "my_backend.connect:to_chroma", "my_backend.connect:to_chroma"),
        ("MEMAPP_OPENAI_BASE_URL", "http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1"),
        ("MEMAPP_API_KEYS", f"{KEY_ENTRY};b rag:read,rag:write {'ab' * 32}\n", None),
    ],
)
def test_a_variable_becomes_what_the_setting_is_declared_to_be(
    tmp_path: Path, variable: str, text: str, value: object
) -> None:
    settings = load(tmp_path, environ={variable: text})
    found = settings[variable.removeprefix("MEMAPP_")]

    expected = (KEY_ENTRY, f"b rag:read,rag:write {'ab' * 32}") if value is None else value
    assert (found, type(found)) == (expected, type(found))
    assert type(found) is type(expected) or isinstance(found, Mapping)


PORT = "must be a whole number from 1 to 65535"


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("CHROMA_PORT", "0", PORT),
        ("CHROMA_PORT", "65536", PORT),
        ("CHROMA_PORT", "-1", PORT),
        ("CHROMA_PORT", "8000.0", PORT),
        ("CHROMA_PORT", "8_000", PORT),
        ("CHROMA_PORT", "0x1F", PORT),
        ("CHROMA_PORT", "1e3", PORT),
        ("CHROMA_PORT", "true", PORT),
        ("CHROMA_PORT", "٨", PORT),
        ("CHROMA_PORT", "9" * 5000, PORT),
        ("CHROMA_SSL", "yep", "must be true or false"),
        ("CHROMA_READ_TIMEOUT", "nan", "must be a number from 0.1 to 600 (seconds)"),
        ("CHROMA_READ_TIMEOUT", "inf", "must be a number from 0.1 to 600 (seconds)"),
        ("CHROMA_READ_TIMEOUT", "1_0", "must be a number from 0.1 to 600 (seconds)"),
        ("CHROMA_READ_TIMEOUT", "soon", "must be a number from 0.1 to 600 (seconds)"),
        ("CHROMA_HOST", "http://h", "must be a bare host name; leave the scheme out"),
        ("CHROMA_HOST", "h:8000", "put the port into CHROMA_PORT"),
        ("CHROMA_HOST", "h/path", "leave paths out"),
        ("CHROMA_HOST", "a b", "must be a bare host name"),
        ("CHROMA_HEADERS", '{"X Team": "a"}', "must have HTTP header names"),
        ("CHROMA_HEADERS", '{"X-Team": "a\\nb"}', "must have text of printable ASCII"),
        ("CHROMA_HEADERS", '{"X-Team": 5}', "must have text of printable ASCII"),
        ("CHROMA_HEADERS", "X-Team: a", "written as JSON or TOML"),
        ("CHROMA_HEADERS", "[" * 100_000, "written as JSON or TOML"),
        ("EMBEDDER_MODEL_SHA256", "ABC", "must be 64 lower-case hex digits"),
        ("OPENAI_BASE_URL", "api.openai.com", "must be a URL beginning with http:// or https://"),
        ("OPENAI_BASE_URL", "http://h:99999", "must be a URL beginning with http:// or https://"),
        ("OPENAI_BASE_URL", "http://h/?a=1", "must end with the path"),
        ("READERS", "a.b.c", "nor written 'package.module:attribute'"),
        ("READERS", "text,text", "is there twice"),
        ("READERS", "[1]", "must be a list of short names"),
        ("READERS", "[text", "written as JSON or TOML"),
        ("LOG_LEVEL", "info", "did you mean 'INFO'?"),
        ("CHUNK_OVERLAP", "601", "must be at most half of CHUNK_CHARACTERS = 1200 from default"),
    ],
)
def test_a_wrong_value_is_refused_with_the_rule(
    tmp_path: Path, name: str, text: str, rule: str
) -> None:
    fault = only_fault(tmp_path, {f"MEMAPP_{name}": text})

    assert fault.startswith(name)
    assert rule in fault


def test_a_fault_names_setting_value_source_rule_and_mend(tmp_path: Path) -> None:
    assert only_fault(tmp_path, {"CHROMA_MODE": "htpp"}) == (
        "CHROMA_MODE = 'htpp' from environment variable CHROMA_MODE: must be 'persistent', 'http', "
        "'cloud', 'ephemeral' or 'package.module:attribute'; did you mean 'http'?"
    )


def test_a_fault_in_a_file_names_file_and_section(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[development]\nCHROMA_PORT = 99999\n")

    assert only_fault(tmp_path) == (
        "CHROMA_PORT = 99999 from settings.toml [development]: must be a whole number from 1 to "
        "65535"
    )


def test_a_long_value_is_cut_in_the_fault(tmp_path: Path) -> None:
    assert len(only_fault(tmp_path, {"CHROMA_PORT": "x" * 10_000})) < 250


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[default]\nCHROMA_HOTS = "x"\nCHROMA_RETRIES = -1\n')
    (tmp_path / ".env").write_text("MEMAPP_NOPE=1\n")
    environ = {"ENV_FOR_DYNACONF": "prodution", "CHROMA_PORT": "x", "MEMAPP_CHUNK_OVERLAP": "5000"}

    found = faults(tmp_path, environ, AUHT="off")

    starts = (
        "ENV_FOR_DYNACONF = 'prodution'",
        "CHROMA_HOTS in settings.toml",
        "MEMAPP_NOPE in .env",
        "AUHT as argument",
        "CHROMA_PORT = 'x'",
        "CHROMA_RETRIES = -1",
        "CHUNK_OVERLAP = 5000",
        "API_KEYS: is required",
    )
    assert len(found) == len(starts)
    assert all(fault.startswith(start) for fault, start in zip(found, starts, strict=True))


@pytest.mark.parametrize("name", ["CHROMA_PORT", "MEMAPP_CHROMA_PORT"])
def test_a_kubernetes_service_link_is_named_as_such(tmp_path: Path, name: str) -> None:
    fault = only_fault(tmp_path, {name: "tcp://10.0.0.1:8000"})

    assert fault.startswith(f"CHROMA_PORT = 'tcp://10.0.0.1:8000' from environment variable {name}")
    assert "Kubernetes" in fault
    assert "enableServiceLinks: false" in fault


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("CHROMA_AUTH_TOKEN = 123456", "must be text; put it in quotes"),
        ("CHROMA_HOST = 2020-01-01", "must be text; put it in quotes"),
        ("CHROMA_HOST = ''", "must be a host name or address, not empty"),
        ("CHROMA_PORT = true", PORT),
        ("CHROMA_PORT = 8000.0", PORT),
        ("CHROMA_SSL = 1", "must be true or false"),
        ("CHROMA_READ_TIMEOUT = true", "must be a number"),
        ("READERS = [1]", "must be a list"),
        ("READERS = { a = 1 }", "must be a list"),
        ("CHROMA_HEADERS = ['a']", "must be a table"),
        ("CHROMA_DB_PATH = ''", "is required with CHROMA_MODE = 'persistent' from default"),
        ('CHROMA_DB_PATH = "a\\u0000b"', "without NUL characters"),
        ("FLASK = { CHROMA_PORT = 1 }", "a setting of memapp's own"),
        ("FLASK = { debug = true }", "upper-case names only"),
    ],
)
def test_a_wrong_value_in_a_file_is_refused(tmp_path: Path, line: str, rule: str) -> None:
    (tmp_path / ".secrets.toml").write_text(f"[default]\n{line}\n")

    assert rule in only_fault(tmp_path)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("CHROMA_PORT = '9000'", "CHROMA_PORT", 9000),
        ("chroma_port = 9000", "CHROMA_PORT", 9000),
        ("READERS = 'text,html'", "READERS", ("text", "html")),
        ("CHROMA_READ_TIMEOUT = 5", "CHROMA_READ_TIMEOUT", 5.0),
        ("CHROMA_HEADERS = { X-A.B = 'x' }", "CHROMA_HEADERS", None),
        ("CHROMA_HEADERS = { 'X-A__b.c' = 'x' }", "CHROMA_HEADERS", {"X-A__b.c": "x"}),
        (
            "CHROMA_HEADERS = { items = 'x', Keys = 'y' }",
            "CHROMA_HEADERS",
            {"items": "x", "Keys": "y"},
        ),
    ],
)
def test_values_in_a_file_become_what_is_declared(
    tmp_path: Path, line: str, name: str, value: object
) -> None:
    (tmp_path / "settings.toml").write_text(f"[default]\n{line}\n")

    if value is None:
        assert "printable ASCII" in only_fault(tmp_path)
    else:
        assert load(tmp_path, environ={})[name] == value


def test_a_later_list_replaces_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[default]\nREADERS = ["text"]\n[development]\nREADERS = ["html"]\n'
    )

    assert load(tmp_path, environ={})["READERS"] == ("html",)


def test_the_table_flask_reaches_the_apps_config_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[default.FLASK]\nSECRET_KEY = "s"\nCORS_ORIGINS = ["a"]\nNESTED = { a = 1 }\n'
    )

    config = load(tmp_path, environ={}).as_dict()

    assert (config["SECRET_KEY"], config["CORS_ORIGINS"], config["NESTED"]) == (
        "s",
        ["a"],
        {"a": 1},
    )
    assert "FLASK" not in config


def test_the_apps_config_cannot_change_the_settings(tmp_path: Path) -> None:
    settings = load(tmp_path, {"FLASK": {"A": {"b": [1]}}}, {})

    settings.as_dict()["A"]["b"].append(2)
    settings.as_dict()["READERS"].clear()

    assert settings["FLASK"]["A"]["b"] == (1,)
    assert settings["READERS"] == ("text", "markdown", "html", "json", "csv", "code", "pdf")


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={})

    with pytest.raises(AttributeError):
        settings.environment = "production"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings["FLASK"]["A"] = 1
    with pytest.raises(TypeError):
        settings["CHROMA_PORT"] = 1  # type: ignore[index]


def test_an_unknown_setting_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        load(tmp_path, environ={})["CHROMA_HOTS"]


@pytest.mark.parametrize(
    ("environ", "start"),
    [
        ({"CHROMA_MODE": "cloud"}, "CHROMA_API_KEY: is required with CHROMA_MODE = 'cloud'"),
        ({"MEMAPP_EMBEDDER": "openai", "MEMAPP_OPENAI_API_KEY": "k"}, "OPENAI_MODEL: is required"),
        ({"MEMAPP_EMBEDDER": "openai", "MEMAPP_OPENAI_MODEL": "m"}, "OPENAI_API_KEY: is required"),
        ({"MEMAPP_AUTH": "keys"}, "API_KEYS: is required with AUTH = 'keys'"),
    ],
)
def test_what_a_choice_needs_is_asked_for(
    tmp_path: Path, environ: dict[str, str], start: str
) -> None:
    assert only_fault(tmp_path, environ).startswith(start)


def test_another_service_than_openai_needs_no_key(tmp_path: Path) -> None:
    environ = {
        "MEMAPP_EMBEDDER": "openai",
        "MEMAPP_OPENAI_MODEL": "m",
        "MEMAPP_OPENAI_BASE_URL": "http://localhost:1/v1",
    }

    load(tmp_path, environ=environ)


@pytest.mark.parametrize(
    ("token", "rule"),
    [
        ("abc\n", "must not end in a new line"),
        ("a b", "must be printable ASCII without spaces"),
        ("a\nb", "must be printable ASCII without spaces"),
        ("schlüssel", "must be printable ASCII without spaces"),
    ],
)
def test_a_token_that_cannot_travel_in_a_header_is_refused_in_http_mode(
    tmp_path: Path, token: str, rule: str
) -> None:
    fault = only_fault(tmp_path, {"CHROMA_MODE": "http", "CHROMA_AUTH_TOKEN": token})

    assert fault.startswith("CHROMA_AUTH_TOKEN from environment variable CHROMA_AUTH_TOKEN: must")
    assert rule in fault
    assert token not in fault
