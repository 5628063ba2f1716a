"""Embed texts with a network of this process."""

from collections.abc import Sequence

import numpy as np

from memapp.coalescing import Coalescer
from memapp.embedders.minilm.batches import by_tokens
from memapp.embedders.minilm.model_file import ModelFile
from memapp.embedders.minilm.network import DIMENSIONS, Network
from memapp.embedders.per_process import PerProcess
from memapp.records import EmbedderIdentity, Vector, Vectors

_TOGETHER = 16
"""Texts in one round, unless one request alone has more; more together is hardly cheaper."""


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
        self._engine = PerProcess(lambda: _Engine(Network(model), batch_tokens))

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        return self._identity

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        engine = self._engine.get()
        tokens = engine.network.tokens(texts)
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        for batch in by_tokens([len(ids) for ids in tokens], budget=self._batch_tokens):
            vectors[batch] = engine.runs.submit([tokens[position] for position in batch])
        return vectors

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        vector: Vector = self.embed_documents([text])[0]
        return vector


class _Engine:
    """A network that one thread uses at a time, for all that wait.

    The workers are the parallelism. Queries that come together are cheaper together: 1.7 ms for
    each of eight instead of 2.6. And a second run at a time would take memory for itself: eight
    threads that embed documents held 300 MB for one worker, as against 106 for one at a time.
    """

    def __init__(self, network: Network, batch_tokens: int) -> None:
        self.network = network
        self.runs: Coalescer[Sequence[int], Vector] = Coalescer(self._run, most=_TOGETHER)
        self._batch_tokens = batch_tokens

    def _run(self, tokens: list[Sequence[int]]) -> list[Vector]:
        vectors: dict[int, Vector] = {}
        for batch in by_tokens([len(ids) for ids in tokens], budget=self._batch_tokens):
            found = self.network.run([tokens[position] for position in batch])
            vectors.update(zip(batch, found, strict=True))
        return [vectors[position] for position in range(len(tokens))]
