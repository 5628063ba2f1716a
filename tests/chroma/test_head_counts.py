"""How many documents a knowledge base has is counted seldom."""

import time

import numpy as np
import pytest

from memapp.chroma import head_counts
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.head_counts import HeadCounts


def add(collection: Collection, *ids: str) -> None:
    vectors = np.eye(len(ids), 2, dtype=np.float32)
    collection.add(ids, vectors, [{"chunks": 1}] * len(ids), ["{}"] * len(ids))


def test_a_count_is_believed_for_a_minute(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = HeadCounts()
    heads = connection.ensure("head.acme.kb", {"holds": "heads"})
    add(heads, "one")
    assert counts.guess(heads) == 1

    add(heads, "two")
    assert counts.guess(heads) == 1

    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert counts.guess(heads) == 2


def test_not_all_knowledge_bases_are_remembered(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_counts, "_REMEMBERED", 1)
    counts = HeadCounts()
    one = connection.ensure("head.acme.one", {"holds": "heads"})
    other = connection.ensure("head.acme.other", {"holds": "heads"})
    assert counts.guess(one) == counts.guess(other) == 0

    add(one, "one")
    assert counts.guess(one) == 1
