"""Chroma's own default: the same model in 32 bits, downloaded by Chroma at first use.

For stores that were filled with Chroma's default function before memapp. It pads every text to
256 tokens, which makes a short one some thirty times as expensive as with `minilm`.
"""

import tarfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from memapp.chroma_import import import_chroma
from memapp.embedders.per_process import PerProcess
from memapp.embedders.unit_length import unit_rows
from memapp.errors import EmbedderUnavailable
from memapp.ports import Embedder
from memapp.records import EmbedderIdentity, Vector, Vectors

if TYPE_CHECKING:
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

_DIMENSIONS = 384
# The archive that Chroma downloads, by the digest in its source.
_IDENTITY = EmbedderIdentity("chroma-default", "all-MiniLM-L6-v2", _DIMENSIONS, "913d7300ceae")


def create(_config: Mapping[str, Any]) -> Embedder:
    """Return the embedder; it has no settings, and loads nothing before the first text."""
    return ChromaDefaultEmbedder()


class ChromaDefaultEmbedder:
    """Chroma's `ONNXMiniLM_L6_V2`; the first text may wait for a download of 80 MB."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._function = PerProcess(_load)

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        return _IDENTITY

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        if not texts:
            return np.empty((0, _DIMENSIONS), dtype=np.float32)
        return unit_rows(self._function.get()(list(texts)), source="Chroma's default embedder")

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        vector: Vector = self.embed_documents([text])[0]
        return vector


def _load() -> "ONNXMiniLM_L6_V2":
    # Imported here: importing it looks for the user's home.
    import_chroma()
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import (  # noqa: PLC0415
        ONNXMiniLM_L6_V2,
    )

    function = ONNXMiniLM_L6_V2(preferred_providers=["CPUExecutionProvider"])
    try:
        # The first call downloads the model and loads it; only there do these errors occur, the
        # vague ValueError (the download is not the model) among them.
        function(["first"])
    except (httpx.HTTPError, OSError, ValueError, tarfile.TarError) as error:
        message = (
            f"Chroma's default model is not in {function.DOWNLOAD_PATH} and cannot be downloaded "
            f"({type(error).__name__}: {error}); set EMBEDDER = 'minilm', the same model, which "
            "needs no network, or put Chroma's files into that folder"
        )
        raise EmbedderUnavailable(message) from error
    return function
