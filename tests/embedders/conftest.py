"""What the embedders' tests share."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

import memapp.embedders.minilm
from memapp.settings import DECLARED
from tests.embedders.openai_server import OpenAIServer

HERE = Path(__file__).parent
PACKAGED = Path(memapp.embedders.minilm.__file__).parent
STAND_IN = HERE / "stand_in.onnx"


@pytest.fixture
def config() -> dict[str, Any]:
    """All settings at their defaults; each test changes its own copy."""
    return {setting.name: setting.default for setting in DECLARED}


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    server = OpenAIServer()
    yield server
    server.stop()


@pytest.fixture
def openai_config(config: dict[str, Any], openai_server: OpenAIServer) -> dict[str, Any]:
    """Settings that name the fake service."""
    return config | {
        "OPENAI_BASE_URL": openai_server.url,
        "OPENAI_API_KEY": "sk-do-not-show-me",
        "OPENAI_MODEL": "words",
        "OPENAI_TIMEOUT": 10.0,
        "OPENAI_BATCH_SIZE": 3,
    }


@pytest.fixture
def stand_in_folder(tmp_path: Path) -> Path:
    """A folder with the stand-in model as `model.onnx`, and the tokenizer beside it."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(STAND_IN.read_bytes())
    (folder / "tokenizer.json").write_bytes((PACKAGED / "tokenizer.json").read_bytes())
    return folder


@pytest.fixture
def chroma_stand_in(stand_in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Chroma find the stand-in model where it keeps downloaded ones."""
    for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt"):
        (stand_in_folder / name).touch()
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "DOWNLOAD_PATH", stand_in_folder.parent)
    monkeypatch.setattr(ONNXMiniLM_L6_V2, "EXTRACTED_FOLDER_NAME", stand_in_folder.name)


@pytest.fixture
def sentence_transformers_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Install a library of that name whose model counts words."""
    (tmp_path / "sentence_transformers.py").write_text(
        "from memapp.embedders.hashing import HashEmbedder\n"
        "class SentenceTransformer:\n"
        "    def __init__(self, name):\n"
        "        if name == 'missing':\n"
        "            raise OSError(name)\n"
        "    def encode(self, sentences, show_progress_bar):\n"
        "        return 3 * HashEmbedder().embed_documents(sentences)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("sentence_transformers", None)
