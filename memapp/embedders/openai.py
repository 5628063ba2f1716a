"""Embed through any service that answers `POST <base>/embeddings` as OpenAI does.

Reference: https://platform.openai.com/docs/api-reference/embeddings
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memapp.embedders.openai_answers import rows
from memapp.embedders.openai_requests import EmbeddingService
from memapp.embedders.unit_length import unit_rows
from memapp.ports import Embedder
from memapp.records import EmbedderIdentity, Vector, Vectors


def create(config: Mapping[str, Any]) -> Embedder:
    """Return the embedder for the service that the `OPENAI_*` settings name; asks it nothing yet.

    A service may serve another model under the same name one day; nobody can tell, so the
    identity's version is `-`.
    """
    service = EmbeddingService(
        config["OPENAI_BASE_URL"],
        key=config["OPENAI_API_KEY"],
        timeout=config["OPENAI_TIMEOUT"],
        retries=config["OPENAI_RETRIES"],
    )
    return OpenAIEmbedder(
        service,
        model=config["OPENAI_MODEL"],
        dimensions=config["OPENAI_DIMENSIONS"],
        batch_size=config["OPENAI_BATCH_SIZE"],
    )


class OpenAIEmbedder:
    """A model behind an OpenAI-compatible service."""

    def __init__(
        self, service: EmbeddingService, *, model: str, dimensions: int, batch_size: int
    ) -> None:
        """Use `model` with vectors of `dimensions` numbers; 0 takes what the model gives."""
        self._service = service
        self._model = model
        self._asked_dimensions = dimensions
        self._dimensions = dimensions
        self._batch_size = batch_size

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with.

        Asks the service once if the length of the vectors is not known yet, and raises
        `EmbedderUnavailable` as `embed_query` does.
        """
        if not self._dimensions:
            self._embed(["dimensions"])
        return EmbedderIdentity("openai", self._model, self._dimensions, "-")

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        batches = [
            self._embed(texts[start : start + self._batch_size])
            for start in range(0, len(texts), self._batch_size)
        ]
        if not batches:
            return np.empty((0, self.identity.dimensions), dtype=np.float32)
        return np.concatenate(batches)

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        vector: Vector = self._embed([text])[0]
        return vector

    def _embed(self, texts: Sequence[str]) -> Vectors:
        # OpenAI refuses an empty text.
        body: dict[str, Any] = {"model": self._model, "input": [text or " " for text in texts]}
        if self._asked_dimensions:
            body["dimensions"] = self._asked_dimensions
        source = f"the embedding service at {self._service.host}"
        answer = self._service.post(body)
        values = rows(answer, count=len(texts), dimensions=self._dimensions, source=source)
        self._dimensions = values.shape[1]
        return unit_rows(values, source=source)
