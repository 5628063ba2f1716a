"""The factory: it opens nothing, and plug-ins of every kind come in by settings alone."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from chromadb.api import ClientAPI
from flask import Blueprint, Flask, Response
from flask_openapi.blueprint import APIBlueprint

from memapp.app import create_app
from memapp.backends import persistent
from memapp.chroma_config import ChromaConfig
from memapp.embedders import hashing
from memapp.errors import ConfigurationError
from memapp.ports import Embedder
from memapp.records import EmbedderIdentity, ReadDocument, Vector, Vectors
from memapp.routes.answering import answer
from memapp.routes.authentication import is_open
from memapp.routes.parsing import checked
from tests.chroma_server import ChromaServer
from tests.fresh_interpreter import printed
from tests.openapi import checked_client, document_of

opened: list[ChromaConfig] = []


def connect(config: ChromaConfig) -> ClientAPI:
    """Open a backend of somebody else's."""
    opened.append(config)
    return persistent.connect(config)


class OtherEmbedder:
    """An embedder of somebody else's: it tells texts apart by their length."""

    identity = EmbedderIdentity("length", "length", 4, "1")

    def embed_documents(self, texts: Any) -> Vectors:
        return hashing.HashEmbedder().embed_documents([str(len(t)) for t in texts])[:, :4] * 0 + 0.5

    def embed_query(self, text: str) -> Vector:
        vector: Vector = self.embed_documents([text])[0]
        return vector


def other_embedder(_config: Mapping[str, Any]) -> Embedder:
    """Return an embedder of somebody else's."""
    return OtherEmbedder()


class LoudReader:
    """Reads `.loud` files."""

    formats = ("loud",)
    media_types = ("text/x-loud",)
    suffixes = (".loud",)

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        return ReadDocument(text=content.decode().upper(), title=name)


class Greeting:
    """An extension that counts the apps it started."""

    def init_app(self, app: Flask) -> None:
        app.extensions["greeting"] = "hello"


greeting = Greeting()


def greet(app: Flask) -> None:
    """Start an extension that is a function."""
    app.extensions["greet"] = "good day"


plain = Blueprint("plain", __name__)
documented = APIBlueprint("documented", __name__, url_prefix="/extra")


@plain.get("/plain")
@is_open
def show_plain() -> dict[str, int]:
    return {"plain": 1}


@documented.get("/thing", responses={200: {"content": {"application/json": {"schema": {}}}}})
@is_open
@checked
def show_thing() -> Response:
    """Show a thing."""
    return answer({"thing": 1})


def make(root: Path, **overrides: Any) -> Flask:
    """Make an app with the given plug-ins."""
    return create_app(root, **{"EMBEDDER": "hash", "AUTH": "off", **overrides})


def test_the_factory_opens_nothing_and_leaves_the_slow_libraries_alone(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from memapp.app import create_app; "
        f"app = create_app(pathlib.Path({str(tmp_path)!r})); "
        "client = app.test_client(); "
        "assert client.get('/health').status_code == 200; "
        "assert client.get('/openapi.json').status_code == 200; "
        "print(sorted({'chromadb', 'onnxruntime', 'tokenizers', 'httpx'} & set(sys.modules)))"
    )
    assert printed(script, folder=tmp_path) == "[]"
    assert list(tmp_path.iterdir()) == []


def test_a_backend_comes_in_by_a_setting(tmp_path: Path) -> None:
    opened.clear()
    client = checked_client(make(tmp_path, CHROMA_MODE=f"{__name__}:connect"))
    client.post("/v1/memories", json={"user_id": "u", "text": "kept elsewhere"})
    answer = client.get("/health/chromadb").get_json()
    assert (answer["mode"], answer["memories"]) == (f"{__name__}:connect", 1)
    assert len(opened) == 1


def test_an_embedder_comes_in_by_a_setting(tmp_path: Path) -> None:
    client = checked_client(make(tmp_path, EMBEDDER=f"{__name__}:other_embedder"))
    client.post("/v1/memories", json={"user_id": "u", "text": "anything"})
    question = {"user_id": "u", "query": "what?", "mode": "semantic"}
    assert len(client.post("/v1/memories/search", json=question).get_json()["data"]) == 1


def test_a_reader_comes_in_by_a_setting(tmp_path: Path) -> None:
    client = checked_client(make(tmp_path, READERS=["text", f"{__name__}:LoudReader"]))
    body = {"id": "d", "text": "quiet", "format": "loud"}
    assert client.post("/v1/rag/documents", json=body).status_code == 201
    assert client.get("/v1/rag/documents/d/text").get_json() == {"text": "QUIET"}


def test_extensions_come_in_by_a_setting(tmp_path: Path) -> None:
    app = make(tmp_path, EXTENSIONS=[f"{__name__}:greeting", f"{__name__}:greet"])
    assert (app.extensions["greeting"], app.extensions["greet"]) == ("hello", "good day")


def test_blueprints_come_in_by_a_setting_and_the_built_in_ones_can_be_left_out(
    tmp_path: Path,
) -> None:
    names = ["memory", f"{__name__}:plain", f"{__name__}:documented"]
    app = make(tmp_path, BLUEPRINTS=names)
    client = checked_client(app)
    assert app.test_client().get("/extra/thing").get_json() == {"thing": 1}
    assert client.post("/v1/rag/retrieve", json={"query": "q"}).status_code == 404
    assert "/extra/thing" in document_of(app)["paths"]


@pytest.mark.parametrize(
    "setting", ["CHROMA_MODE", "EMBEDDER", "READERS", "EXTENSIONS", "BLUEPRINTS"]
)
@pytest.mark.parametrize("path", ["no.such:thing", f"{__name__}:no_such_thing"])
def test_a_plug_in_that_is_not_there_stops_the_start_by_the_name_of_its_setting(
    tmp_path: Path, setting: str, path: str
) -> None:
    value = path if setting in {"CHROMA_MODE", "EMBEDDER"} else [path]
    with pytest.raises(ConfigurationError, match=setting):
        make(tmp_path, **{setting: value})


@pytest.mark.parametrize("setting", ["EXTENSIONS", "BLUEPRINTS"])
def test_a_plug_in_of_another_kind_stops_the_start(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        make(tmp_path, **{setting: [f"{__name__}:opened"]})


@pytest.mark.xdist_group("chroma-server")
def test_a_store_written_with_another_embedder_is_refused_with_the_mend(
    tmp_path: Path, chroma_server: ChromaServer, chroma_database: str
) -> None:
    server: dict[str, Any] = {
        "CHROMA_MODE": "http",
        "CHROMA_HOST": "127.0.0.1",
        "CHROMA_PORT": chroma_server.port,
        "CHROMA_DATABASE": chroma_database,
    }
    memory = {"user_id": "u", "text": "written by hash"}
    first = checked_client(make(tmp_path, **server))
    assert first.post("/v1/memories", json=memory).status_code == 201
    other = checked_client(make(tmp_path, **server, EMBEDDER=f"{__name__}:other_embedder"))
    refused = [
        other.post("/v1/memories", json={"user_id": "u", "text": "another"}),
        other.post("/v1/memories/search", json={"user_id": "u", "query": "what?"}),
    ]
    for response in refused:
        assert (response.status_code, response.get_json()["code"]) == (409, "embedder_mismatch")
        assert "memapp reembed" in response.get_json()["detail"]


def test_products_of_matrices_start_no_threads() -> None:
    code = (
        "import memapp, os, numpy as np\n"
        "np.ones((5000, 384), dtype=np.float32) @ np.ones(384, dtype=np.float32)\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    environ = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    asked = [sys.executable, "-c", code]
    printed = subprocess.run(asked, env=environ, capture_output=True, text=True, check=True).stdout
    assert printed == "1\n"
