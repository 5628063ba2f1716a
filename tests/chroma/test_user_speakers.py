"""The speakers of a user who is not kept are those that Chroma has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memapp.chroma import user_speakers
from memapp.chroma.cache_budget import Budget
from memapp.chroma.collection import Collection, Records
from memapp.chroma.connection import Connection
from memapp.chroma.memories import ChromaMemories
from memapp.chroma.user_speakers import READ_AT
from memapp.chroma.write_marks import WriteMarks
from memapp.embedders.hashing import HashEmbedder
from memapp.records import MemoryDraft, MemoryScope
from tests.chroma.memory_stores import open_memories

IDENTITY = HashEmbedder().identity
NAMES = ["kim", "bob", "eve"]

Open = Callable[[], ChromaMemories]


@pytest.fixture
def marks(tmp_path: Path) -> WriteMarks:
    return WriteMarks.of_process(str(tmp_path))


@pytest.fixture
def open_store(connection: Connection, marks: WriteMarks) -> Open:
    """Open stores that keep nobody, as if each were a process that counts its writes."""
    return lambda: open_memories(connection, IDENTITY, cache=Budget(0), marks=marks)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Note each read of records."""
    made: list[None] = []
    real = Collection.get

    def noted(self: Collection, **arguments: Any) -> Records:
        made.append(None)
        return real(self, **arguments)

    monkeypatch.setattr(Collection, "get", noted)
    return made


def add(store: ChromaMemories, speaker: str, user: str = "ann") -> None:
    vectors = np.eye(1, IDENTITY.dimensions, dtype=np.float32)
    store.add("acme", [MemoryDraft(user, f"{speaker} speaks", speaker=speaker)], vectors)


def known(store: ChromaMemories, times: int = 1) -> list[str]:
    for _ in range(times):
        found = store.view("acme", MemoryScope("ann")).known_speakers(NAMES)
    return sorted(found)


def test_speakers_are_not_read_again_while_nobody_writes(
    open_store: Open, reads: list[None]
) -> None:
    store = open_store()
    add(store, "Kim")
    known(store, READ_AT)
    reads.clear()

    assert known(store, 10) == ["kim"]
    assert not reads


def test_a_speaker_whom_another_process_brings_in_is_known_at_once(open_store: Open) -> None:
    store, other = open_store(), open_store()
    add(store, "Kim")
    known(store, READ_AT)
    add(other, "Bob")

    assert [known(store) for _ in range(2 * READ_AT)] == [["bob", "kim"]] * 2 * READ_AT


def test_who_speaks_to_another_user_is_not_known(open_store: Open) -> None:
    store = open_store()
    add(store, "Kim")
    add(store, "Bob", user="another")

    assert known(store, READ_AT) == ["kim"]


def test_a_speaker_whom_somebody_brings_in_who_does_not_count_is_known_after_a_while(
    open_store: Open, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    add(store, "Kim")
    known(store, READ_AT)
    add(open_memories(connection, IDENTITY, cache=Budget(0)), "Bob")
    monkeypatch.setattr(user_speakers, "TRUSTED_SECONDS", 0.0)

    assert known(store) == ["bob", "kim"]


def test_where_writes_are_not_counted_speakers_are_read_each_time(
    connection: Connection, reads: list[None]
) -> None:
    store, other = (open_memories(connection, IDENTITY, cache=Budget(0)) for _ in range(2))
    add(store, "Kim")
    known(store, READ_AT)
    add(other, "Bob")
    reads.clear()

    assert known(store, 5) == ["bob", "kim"]
    assert len(reads) == 5


def test_the_speakers_of_a_user_who_was_forgotten_are_not_known(open_store: Open) -> None:
    store, other = open_store(), open_store()
    add(store, "Kim")
    known(store, READ_AT)
    other.forget("acme", "ann", dry_run=False)

    assert known(store) == []


def test_the_speakers_of_a_store_that_was_made_anew_are_its_own(
    open_store: Open, connection: Connection
) -> None:
    store = open_store()
    add(store, "Kim")
    known(store, READ_AT)
    for name in connection.names():
        connection.drop(name)
    add(open_memories(connection, IDENTITY, cache=Budget(0)), "Bob")

    assert known(store) == ["bob"]
