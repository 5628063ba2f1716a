"""Embed texts with a network of this process."""

from collections.abc import Sequence

import numpy as np

from memapp.embedders.minilm.batches import by_tokens
from memapp.embedders.minilm.model_file import ModelFile
from memapp.embedders.minilm.network import DIMENSIONS, Network
from memapp.embedders.per_process import PerProcess
from memapp.records import EmbedderIdentity, Vector, Vectors


class MiniLMEmbedder:
    """all-MiniLM-L6-v2; a text's vector does not depend on the texts embedded along with it.

    Raises `ConfigurationError` at the first text if the file was exchanged since the start.
    """

    def __init__(self, model: ModelFile, *, batch_tokens: int) -> None:
        """Load nothing yet; `batch_tokens` bounds a batch, padding included."""
        self._identity = EmbedderIdentity(
            "minilm", "all-MiniLM-L6-v2", DIMENSIONS, model.sha256[:12]
        )
        self._batch_tokens = batch_tokens
        self._network = PerProcess(lambda: Network(model))

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        return self._identity

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        network = self._network.get()
        tokens = network.tokens(texts)
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        for batch in by_tokens([len(ids) for ids in tokens], budget=self._batch_tokens):
            vectors[batch] = network.run([tokens[position] for position in batch])
        return vectors

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        vector: Vector = self.embed_documents([text])[0]
        return vector
