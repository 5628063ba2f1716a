"""Tell how long texts take to become vectors, whatever the embedder."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

from memapp.ports import Embedder
from memapp.records import EmbedderIdentity, Vector, Vectors

Kind = Literal["document", "query"]
"""What a text is: to be stored, or a question."""


class Observe(Protocol):
    """Is told of each call of an embedder."""

    def __call__(self, kind: Kind, seconds: float, *, texts: int) -> None:
        """Take what a call was for, how long it took, and how many texts it embedded."""
        ...


class MeasuredEmbedder:
    """Another embedder, of whose calls somebody is told, failed ones too."""

    def __init__(self, embedder: Embedder, observe: Observe) -> None:
        """Wrap `embedder` and tell `observe`."""
        self._embedder = embedder
        self._observe = observe

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        return self._embedder.identity

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        with self._timed("document", len(texts)):
            return self._embedder.embed_documents(texts)

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        with self._timed("query", 1):
            return self._embedder.embed_query(text)

    @contextmanager
    def _timed(self, kind: Kind, texts: int) -> Iterator[None]:
        began = time.perf_counter()
        embedded = 0
        try:
            yield
            embedded = texts
        finally:
            self._observe(kind, time.perf_counter() - began, texts=embedded)
