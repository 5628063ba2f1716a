"""The extension object: state in the app, nothing opened early, apps that share nothing."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from chromadb.api import ClientAPI
from flask import Flask

from memapp.backends import http, persistent
from memapp.chroma.extension import ChromaExtension, open_lazily
from memapp.chroma_config import ChromaConfig, Patience
from memapp.settings import SecretText
from tests.chroma.fake_servers import gate

TOKEN = "s3cret-T0ken"


def settings(**changes: object) -> dict[str, Any]:
    values = {
        "CHROMA_MODE": "persistent",
        "CHROMA_DB_PATH": "memories",
        "CHROMA_PERSIST_DIR": "documents",
        "CHROMA_HOST": "127.0.0.1",
        "CHROMA_PORT": 8000,
        "CHROMA_SSL": False,
        "CHROMA_AUTH_TOKEN": "",
        "CHROMA_AUTH_HEADER": "Authorization",
        "CHROMA_HEADERS": {},
        "CHROMA_TENANT": "default_tenant",
        "CHROMA_DATABASE": "default_database",
        "CHROMA_API_KEY": "",
        "CHROMA_CLOUD_HOST": "api.trychroma.com",
        "CHROMA_CONNECT_TIMEOUT": 1.0,
        "CHROMA_PROBE_TIMEOUT": 1.0,
        "CHROMA_READ_TIMEOUT": 30.0,
        "CHROMA_RETRIES": 2,
        "CHROMA_BATCH_SIZE": 500,
        "CHROMA_SYNC_THRESHOLD": 250,
    }
    return {**values, **changes}


def never(config: ChromaConfig) -> ClientAPI:
    raise AssertionError(config)


def app_with(**changes: object) -> Flask:
    app = Flask("app")
    app.config.update(settings(**changes))
    return app


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    return {
        "CHROMA_DB_PATH": str(tmp_path / "memories"),
        "CHROMA_PERSIST_DIR": str(tmp_path / "documents"),
    }


def test_starting_an_app_opens_nothing() -> None:
    ChromaExtension().init_app(app_with(), never)


def test_an_app_takes_the_extension_once() -> None:
    app, chroma = app_with(), ChromaExtension()
    chroma.init_app(app, never)
    with pytest.raises(RuntimeError, match="call init_app once"):
        chroma.init_app(app, never)


def test_an_app_without_the_extension_is_told() -> None:
    with app_with().app_context(), pytest.raises(TypeError, match="forget to call 'init_app'"):
        _ = ChromaExtension().memories


def test_two_apps_on_one_extension_share_nothing(tmp_path: Path) -> None:
    chroma = ChromaExtension()
    apps = [
        app_with(CHROMA_DB_PATH=str(tmp_path / name / "m"), CHROMA_PERSIST_DIR=str(tmp_path / name))
        for name in ("one", "two")
    ]
    for app in apps:
        chroma.init_app(app, persistent.connect)
    with apps[0].app_context():
        chroma.memories.ensure("shelf", {"kind": "a"})
    with apps[1].app_context():
        assert chroma.memories.names() == []
    for app in apps:
        app.extensions["memapp.chroma"].close()


def test_memories_and_documents_lie_in_two_folders(folders: dict[str, str]) -> None:
    connections = open_lazily(settings(**folders), persistent.connect)
    connections.memories.ensure("shelf", {"kind": "a"})
    assert connections.documents.names() == []
    connections.close()
    assert Path(folders["CHROMA_DB_PATH"], "chroma.sqlite3").exists()
    assert Path(folders["CHROMA_PERSIST_DIR"], "chroma.sqlite3").exists()


def test_one_folder_under_two_names_is_one_store(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    connections = open_lazily(
        settings(CHROMA_DB_PATH=str(tmp_path / "store"), CHROMA_PERSIST_DIR=str(tmp_path / "link")),
        persistent.connect,
    )
    assert connections.memories is connections.documents


@pytest.mark.parametrize("mode", ["http", "cloud", "ephemeral", "package.module:connect"])
def test_every_other_mode_has_one_store(mode: str) -> None:
    connections = open_lazily(settings(CHROMA_MODE=mode), never)
    assert connections.memories is connections.documents


def test_a_backend_is_handed_every_setting_of_chroma(tmp_path: Path) -> None:
    handed: list[ChromaConfig] = []

    def connect(config: ChromaConfig) -> ClientAPI:
        handed.append(config)
        raise KeyboardInterrupt

    values = settings(
        CHROMA_MODE="http",
        CHROMA_DB_PATH=str(tmp_path),
        CHROMA_HOST="chroma.example",
        CHROMA_PORT=9000,
        CHROMA_SSL=True,
        CHROMA_AUTH_TOKEN=TOKEN,
        CHROMA_AUTH_HEADER="X-Chroma-Token",
        CHROMA_HEADERS={"X-Team": "blue"},
        CHROMA_TENANT="t1",
        CHROMA_DATABASE="d1",
        CHROMA_API_KEY="k1",
        CHROMA_CLOUD_HOST="cloud.example",
        CHROMA_CONNECT_TIMEOUT=0.1,
        CHROMA_PROBE_TIMEOUT=0.2,
        CHROMA_READ_TIMEOUT=0.3,
        CHROMA_RETRIES=4,
    )
    with pytest.raises(KeyboardInterrupt):
        open_lazily(values, connect).memories.names()
    assert handed == [
        ChromaConfig(
            path=str(tmp_path),
            host="chroma.example",
            port=9000,
            ssl=True,
            token=TOKEN,
            token_header="X-Chroma-Token",
            headers={"X-Team": "blue"},
            tenant="t1",
            database="d1",
            api_key="k1",
            cloud_host="cloud.example",
            patience=Patience(connect_timeout=0.1, probe_timeout=0.2, read_timeout=0.3, retries=4),
        )
    ]


def test_collections_are_made_with_the_threshold_of_the_settings(tmp_path: Path) -> None:
    values = settings(CHROMA_DB_PATH=str(tmp_path), CHROMA_SYNC_THRESHOLD=77)
    connection = open_lazily(values, persistent.connect).memories
    connection.ensure("shelf", {"kind": "shelf"})
    made = connection.run(lambda session: session.client.get_collection("shelf"))
    connection.close()
    assert made.configuration_json["hnsw"]["sync_threshold"] == 77


def test_a_configuration_shows_no_secret() -> None:
    config = ChromaConfig(token=TOKEN, api_key=TOKEN, headers={"X-Key": TOKEN})
    assert TOKEN not in repr(config)


@pytest.mark.parametrize(
    ("header", "sent"), [("Authorization", f"Bearer {TOKEN}"), ("X-Chroma-Token", TOKEN)]
)
def test_token_and_headers_go_with_every_request(chroma_port: int, header: str, sent: str) -> None:
    with gate(chroma_port) as relay:
        connections = open_lazily(
            settings(
                CHROMA_MODE="http",
                CHROMA_PORT=relay.port,
                CHROMA_AUTH_TOKEN=SecretText(TOKEN),
                CHROMA_AUTH_HEADER=header,
                CHROMA_HEADERS={"X-Team": "blue"},
            ),
            http.connect,
        )
        connections.memories.names()
        assert (relay.headers[header], relay.headers["X-Team"]) == (sent, "blue")
        assert TOKEN not in repr(connections.memories.run(lambda s: s.client.get_settings()))
        connections.close()


def test_a_forgotten_app_leaves_no_connection(folders: dict[str, str]) -> None:
    app, chroma = app_with(**folders), ChromaExtension()
    chroma.init_app(app, persistent.connect)
    with app.app_context():
        chroma.memories.names()
        connection = weakref.ref(chroma.memories)
    del app
    gc.collect()
    assert connection() is None
    reopened = open_lazily(settings(**folders), persistent.connect)
    assert reopened.memories.names() == []
    reopened.close()
