"""Keep the vectors of recent queries, whatever the embedder."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from memapp.embedders.per_process import PerProcess
from memapp.ports import Embedder
from memapp.records import EmbedderIdentity, Vector, Vectors


def with_query_cache(embedder: Embedder, *, size: int) -> Embedder:
    """Return an embedder that remembers its last `size` different queries; 0 remembers none."""
    return CachingEmbedder(embedder, size=size) if size else embedder


class CachingEmbedder:
    """Another embedder, asked only once for each recent query in each process.

    Documents are not remembered: they seldom come twice. A failure is not remembered either.
    """

    def __init__(self, embedder: Embedder, *, size: int) -> None:
        """Wrap `embedder`; `size`, at least 1, bounds the queries remembered."""
        self._embedder = embedder
        self._recent = PerProcess(lambda: _Recent(size))

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        return self._embedder.identity

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        return self._embedder.embed_documents(texts)

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        recent = self._recent.get()
        vector = recent.find(text)
        if vector is None:
            # Not under the lock: two threads may do the same work, but nobody waits for another.
            vector = self._embedder.embed_query(text)
            recent.keep(text, vector)
        # A copy: what a caller does to its vector must not reach the next one.
        return vector.copy()


class _Recent:
    """The most recently used vectors by text."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, text: str) -> Vector | None:
        with self._lock:
            vector = self._vectors.get(text)
            if vector is not None:
                self._vectors.move_to_end(text)
            return vector

    def keep(self, text: str, vector: Vector) -> None:
        with self._lock:
            self._vectors[text] = vector
            self._vectors.move_to_end(text)
            if len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
