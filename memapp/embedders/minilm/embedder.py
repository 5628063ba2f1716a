"""Embed texts with a network of this process."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from memapp.coalescing import Coalescer
from memapp.embedders.minilm.batches import by_tokens
from memapp.embedders.minilm.model_file import ModelFile
from memapp.embedders.minilm.network import DIMENSIONS, Network, network_of
from memapp.embedders.per_process import PerProcess
from memapp.records import EmbedderIdentity, Vector, Vectors

Tokens = Sequence[int]
"""The numbers of one text's tokens."""

_TOGETHER = 16
"""Texts in one round, unless one request alone has more; more together is hardly cheaper."""

_MOST_LANES = 2
_WORTH_A_THREAD = 3
"""Batches from which on threads are started for them."""


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
        self._engine = PerProcess(lambda: _Engine(network_of(model), batch_tokens))

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        return self._identity

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        return self._engine.get().embed(texts)

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        vector: Vector = self.embed_documents([text])[0]
        return vector


class _Engine:
    """A network, and the lanes through which the threads of a process come to it.

    A lane is one run at a time, of what waits for it: queries that come together are cheaper
    together, 1.1 ms for each of eight of 12 tokens instead of 1.4. There are no more than two
    lanes, for each run takes memory of its own: eight threads that embedded documents as they liked
    held 300 MB for one worker, as against 108 in one lane. And no more than cores.
    """

    def __init__(self, network: Network, batch_tokens: int) -> None:
        self._network = network
        self._batch_tokens = batch_tokens
        lanes = min(_MOST_LANES, os.cpu_count() or 1)
        self._lanes = [Coalescer(self._run, most=_TOGETHER) for _ in range(lanes)]

    def embed(self, texts: Sequence[str]) -> Vectors:
        tokens = self._network.tokens(texts)
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        batches = list(by_tokens([len(ids) for ids in tokens], budget=self._batch_tokens))

        def embed_each(batches: Sequence[list[int]], lane: Coalescer[Tokens, Vector]) -> None:
            for batch in batches:
                vectors[batch] = lane.submit([tokens[position] for position in batch])

        if len(batches) < _WORTH_A_THREAD:
            embed_each(batches, self._lanes[0])
            return vectors
        shares = [batches[number :: len(self._lanes)] for number in range(len(self._lanes))]
        with ThreadPoolExecutor(len(self._lanes), thread_name_prefix="memapp-embed") as threads:
            list(threads.map(embed_each, shares, self._lanes))
        return vectors

    def _run(self, tokens: list[Tokens]) -> list[Vector]:
        vectors: dict[int, Vector] = {}
        for batch in by_tokens([len(ids) for ids in tokens], budget=self._batch_tokens):
            found = self._network.run([tokens[position] for position in batch])
            vectors.update(zip(batch, found, strict=True))
        return [vectors[position] for position in range(len(tokens))]
