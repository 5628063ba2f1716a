"""Embed by hashing words: no model, no understanding; for tests only.

Texts that share words and pairs of words are near each other, others are nearly orthogonal
(feature hashing, https://arxiv.org/abs/0902.2206). The vectors are the same in every process and
on every machine.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np

from memapp.embedders.unit_length import unit_rows
from memapp.ports import Embedder
from memapp.records import EmbedderIdentity, Vector, Vectors

_DIMENSIONS = 256
_IDENTITY = EmbedderIdentity("hash", "word-pairs", _DIMENSIONS, "1")


def create(_config: Mapping[str, Any]) -> Embedder:
    """Return the embedder; it has no settings."""
    return HashEmbedder()


class HashEmbedder:
    """Counts words and pairs of words in hashed places."""

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        return _IDENTITY

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored."""
        rows = [_counts(text) for text in texts]
        return unit_rows(np.reshape(rows, (len(texts), _DIMENSIONS)), source="the hash embedder")

    def embed_query(self, text: str) -> Vector:
        """Embed a question."""
        vector: Vector = self.embed_documents([text])[0]
        return vector


def _counts(text: str) -> Vector:
    counts = np.zeros(_DIMENSIONS, dtype=np.float32)
    for feature, count in Counter(_features(text)).items():
        # Not `hash()`, which differs from process to process.
        digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        place = int.from_bytes(digest[:4]) % _DIMENSIONS
        counts[place] += count if digest[4] % 2 else -count
    if not counts.any():
        counts[0] = 1
    return counts


def _features(text: str) -> Iterator[str]:
    words = re.findall(r"\w+", text.lower())
    yield from words
    yield from (f"{first} {second}" for first, second in pairwise(words))
