"""What the query cache remembers, and what not."""

import os
from collections.abc import Sequence

import numpy as np
import pytest

from memapp.embedders.caching import CachingEmbedder, with_query_cache
from memapp.embedders.hashing import HashEmbedder
from memapp.errors import EmbedderUnavailable
from memapp.records import Vector, Vectors


class CountingEmbedder(HashEmbedder):
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_down = False

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return super().embed_documents(texts)

    def embed_query(self, text: str) -> Vector:
        if self.is_down:
            raise EmbedderUnavailable
        return super().embed_query(text)


def test_a_query_is_embedded_once() -> None:
    inner = CountingEmbedder()
    cached = CachingEmbedder(inner, size=2)

    for query in ("a", "a", "b", "a"):
        cached.embed_query(query)

    assert inner.asked == ["a", "b"]


def test_a_remembered_vector_is_the_right_one() -> None:
    cached = CachingEmbedder(HashEmbedder(), size=2)

    cached.embed_query("a")
    cached.embed_query("b")

    np.testing.assert_array_equal(cached.embed_query("a"), HashEmbedder().embed_query("a"))


def test_the_query_used_longest_ago_is_forgotten() -> None:
    inner = CountingEmbedder()
    cached = CachingEmbedder(inner, size=2)

    for query in ("a", "b", "a", "c", "a", "b"):
        cached.embed_query(query)

    assert inner.asked == ["a", "b", "c", "b"]


def test_changing_a_vector_does_not_change_the_next_one() -> None:
    cached = CachingEmbedder(HashEmbedder(), size=2)

    for _ in range(2):
        cached.embed_query("a")[:] = 0

    assert np.linalg.norm(cached.embed_query("a")) == pytest.approx(1)


def test_documents_are_not_remembered() -> None:
    inner = CountingEmbedder()
    cached = CachingEmbedder(inner, size=2)

    cached.embed_documents(["a", "b"])
    cached.embed_documents(["a"])
    cached.embed_query("a")

    assert inner.asked == ["a", "b", "a", "a"]


def test_a_failure_is_not_remembered() -> None:
    inner = CountingEmbedder()
    cached = CachingEmbedder(inner, size=2)
    inner.is_down = True
    with pytest.raises(EmbedderUnavailable):
        cached.embed_query("a")

    inner.is_down = False

    assert cached.embed_query("a").shape == (256,)


def test_size_0_remembers_nothing() -> None:
    inner = CountingEmbedder()
    cached = with_query_cache(inner, size=0)

    cached.embed_query("a")
    cached.embed_query("a")

    assert inner.asked == ["a", "a"]


def test_another_process_starts_with_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = CountingEmbedder()
    cached = CachingEmbedder(inner, size=2)
    cached.embed_query("a")

    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    cached.embed_query("a")

    assert inner.asked == ["a", "a"]
