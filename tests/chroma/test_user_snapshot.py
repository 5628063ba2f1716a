"""A snapshot keeps memories, vectors and tokens in step, in little memory."""

import gc
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import orjson
import pytest

from memapp.chroma.collection import Records
from memapp.chroma.memory_records import Making, encode
from memapp.chroma.user_snapshot import Snapshot
from memapp.records import Memory

DIMENSIONS = 8


def records(
    numbers: Sequence[int], *, dimensions: int = DIMENSIONS, metadata: Sequence[str] = ("topic",)
) -> Records:
    """Return memories as Chroma gives them; each number has a text, token and vector of its own."""
    written = [orjson.dumps(_record(number, metadata)) for number in numbers]
    read = [orjson.loads(one) for one in written]
    vectors = np.zeros((len(numbers), dimensions), dtype=np.float32)
    for row, number in enumerate(numbers):
        vectors[row, number % dimensions] = 1.0
    return Records(
        ids=[one["id"] for one in read],
        metadatas=[one["fields"] for one in read],
        documents=[one["text"] for one in read],
        vectors=vectors,
        distances=[],
    )


def _record(number: int, keys: Sequence[str]) -> dict[str, object]:
    moment = datetime(2026, 1, 1, microsecond=number, tzinfo=UTC)
    memory = Memory(
        id=f"00f{number:032}",
        user_id="somebody",
        text=f"a fact of usual length that has the number {number}",
        speaker=None if number % 2 else "Anna",
        occurred_at=moment,
        agent_id=None,
        session_id=None,
        metadata={key: f"{key} of {number}" for key in keys},
        created_at=moment,
        updated_at=moment,
        expires_at=None,
        version=1,
    )
    making = Making(f"{number:032}", f"{number:016}", is_timed=False, claim=None)
    return {"id": memory.id, "text": memory.text, "fields": encode(memory, making)}


def numbers_in(snapshot: Snapshot) -> list[int]:
    """Return the numbers of a snapshot's memories, after a look at all that belongs to each."""
    numbers = [int(memory.text.rsplit(" ", 1)[1]) for memory in snapshot.memories]
    assert [memory.id for memory in snapshot.memories] == list(snapshot.tokens)
    assert [int(token) for token in snapshot.tokens.values()] == numbers
    for row, number in enumerate(numbers):
        cosines = snapshot.vectors.cosines(np.eye(DIMENSIONS, dtype=np.float32)[number % 8])
        assert cosines[row] == pytest.approx(1.0)
    assert len(snapshot.vectors) == len(numbers)
    return numbers


def ids_of(*numbers: int) -> set[str]:
    return {f"00f{number:032}" for number in numbers}


def test_records_of_other_kinds_and_memories_not_chosen_are_left_out() -> None:
    found = records([1, 2, 3])
    found.metadatas[0] = {"kind": "change"}

    assert numbers_in(Snapshot.of(found)) == [2, 3]
    assert numbers_in(Snapshot.of(records([1, 2, 3]), ids_of(3, 9))) == [3]


def test_memories_go_and_come_with_their_vectors_and_tokens() -> None:
    old, new = Snapshot.of(records([1, 2, 3, 4])), Snapshot.of(records([2, 5]))

    assert numbers_in(Snapshot.joined([old.without(ids_of(2, 5)), new])) == [1, 3, 4, 2, 5]
    assert numbers_in(Snapshot.joined([old.without(ids_of(7)), new.without(ids_of(2))])) == [
        *(1, 2, 3, 4),
        5,
    ]
    assert numbers_in(old.without(ids_of(1, 2, 3, 4))) == []
    assert numbers_in(Snapshot.joined([])) == []


def test_only_memories_with_their_present_token_stay() -> None:
    snapshot = Snapshot.of(records([1, 2, 3]))
    tokens: dict[str, str | None] = dict(snapshot.tokens)
    first, second, _ = tokens
    tokens[first] = "another"
    del tokens[second]

    assert numbers_in(snapshot.only(tokens)) == [3]


@pytest.mark.parametrize("keys", [(), ("topic",), ("topic", "mood", "place", "weather")])
def test_its_size_is_what_it_takes(keys: Sequence[str]) -> None:
    found = records(range(1000), dimensions=384, metadata=keys)
    gc.collect()
    tracemalloc.start()
    try:
        snapshot = Snapshot.of(found)
        del found
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Texts were there before.
    texts = sum(len(memory.text) for memory in snapshot.memories)
    assert 0.85 * (snapshot.size - texts) < taken < snapshot.size - texts
