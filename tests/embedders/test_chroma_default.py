"""Chroma's default function, above all without a network."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

from memapp.embedders import chroma_default
from memapp.errors import EmbedderUnavailable


@pytest.fixture
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded yet, and the server is not there."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "DOWNLOAD_PATH", tmp_path / "models")
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "MODEL_DOWNLOAD_URL", f"http://127.0.0.1:{port}/x")


@pytest.mark.usefixtures("_offline")
def test_without_network_and_model_the_message_names_folder_and_mend(
    config: dict[str, Any], tmp_path: Path
) -> None:
    embedder = chroma_default.create(config)

    with pytest.raises(EmbedderUnavailable, match="EMBEDDER = 'minilm'") as failure:
        embedder.embed_query("a")

    assert str(tmp_path / "models") in str(failure.value)


@pytest.mark.usefixtures("_offline")
def test_a_home_that_cannot_be_written_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "models").touch()

    with pytest.raises(EmbedderUnavailable, match="FileExistsError"):
        chroma_default.create(config).embed_query("a")


@pytest.mark.usefixtures("_offline")
def test_it_works_once_the_model_is_there(
    config: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    embedder = chroma_default.create(config)
    with pytest.raises(EmbedderUnavailable):
        embedder.embed_query("a")

    request.getfixturevalue("chroma_stand_in")

    assert np.linalg.norm(embedder.embed_query("a")) == pytest.approx(1)


def test_the_identity_changes_with_chromas_model(config: dict[str, Any]) -> None:
    assert ONNXMiniLM_L6_V2._MODEL_SHA256[:12] == chroma_default.create(config).identity.version
