"""Embed with a model of the sentence-transformers library, where that is installed."""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memapp.embedders.per_process import PerProcess
from memapp.embedders.unit_length import unit_rows
from memapp.errors import ConfigurationError, EmbedderUnavailable
from memapp.ports import Embedder
from memapp.records import EmbedderIdentity, Vector, Vectors


def create(config: Mapping[str, Any]) -> Embedder:
    """Return the embedder for `SENTENCE_TRANSFORMERS_MODEL`, a name or a folder.

    Loads nothing before the first text, or the first look at the identity. The library does not
    tell a model's revision; the identity's version is `-`.

    Raises:
        ConfigurationError: the library is not installed.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        fault = (
            "EMBEDDER = 'sentence-transformers': the package is not installed; run "
            "'pip install sentence-transformers', or set EMBEDDER = 'minilm', which needs nothing"
        )
        raise ConfigurationError(fault)
    return SentenceTransformersEmbedder(config["SENTENCE_TRANSFORMERS_MODEL"])


class SentenceTransformersEmbedder:
    """A model in this process; takes about a gigabyte in each."""

    def __init__(self, model: str) -> None:
        """Load nothing yet."""
        self._name = model
        self._model = PerProcess(lambda: _load(model))
        self._dimensions = PerProcess(lambda: self.embed_query("dimensions").size)

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        dimensions = self._dimensions.get()
        return EmbedderIdentity("sentence-transformers", self._name, dimensions, "-")

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        if not texts:
            return np.empty((0, self.identity.dimensions), dtype=np.float32)
        values = self._model.get().encode(list(texts), show_progress_bar=False)
        return unit_rows(values, source=f"the model {self._name}")

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        vector: Vector = self.embed_documents([text])[0]
        return vector


def _load(name: str) -> Any:
    # Imported here: brings torch along, seconds and hundreds of megabytes.
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    try:
        return SentenceTransformer(name)
    except (OSError, ValueError) as error:
        message = (
            f"the model {name!r} cannot be loaded ({type(error).__name__}); download it on this "
            "machine first, or name its folder in SENTENCE_TRANSFORMERS_MODEL"
        )
        raise EmbedderUnavailable(message) from error
