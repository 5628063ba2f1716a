"""The default embedder: all-MiniLM-L6-v2 in 8-bit integers, offline, on the CPU.

`model.onnx`, its weights in `model.onnx.data`, and `tokenizer.json` lie beside this file;
`scripts/build_minilm.py` makes them from the official weights, NOTICE says what was changed.
English; texts are cut after 256 tokens.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memapp.embedders.minilm import network
from memapp.embedders.minilm.embedder import MiniLMEmbedder
from memapp.embedders.minilm.model_file import ModelFile
from memapp.ports import Embedder

MODEL_SHA256 = "eb41d60e61d4328aee8a6da75842b4555482fac90008d4297c99ba3e5349a671"
"""What scripts/build_minilm.py printed for the packaged files."""

_PACKAGED = Path(__file__).parent / "model.onnx"


def create(config: Mapping[str, Any]) -> Embedder:
    """Return the embedder for the packaged file, or for the one that the settings name.

    Neither onnxruntime nor tokenizers is loaded before the first text.

    Raises:
        ConfigurationError: there is no such file, or it is not the one expected.
    """
    batch_tokens: int = config["EMBEDDING_BATCH_TOKENS"]
    return MiniLMEmbedder(_model(config), batch_tokens=batch_tokens)


def load_before_fork(config: Mapping[str, Any]) -> None:
    """Load the network that embedders of `create` use in processes forked from now on.

    Raises:
        ConfigurationError: as `create`, or it cannot be loaded.
    """
    network.load_before_fork(_model(config))


def _model(config: Mapping[str, Any]) -> ModelFile:
    named: str = config["EMBEDDER_MODEL_PATH"]
    sha256: str = config["EMBEDDER_MODEL_SHA256"]
    return ModelFile.find(
        Path(named) if named else _PACKAGED, sha256 or ("" if named else MODEL_SHA256)
    )
