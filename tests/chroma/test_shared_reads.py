"""Reads that go together answer each as if it had come alone."""

import secrets
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event
from typing import Any

import numpy as np
import pytest

from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.shared_reads import SharedReads
from memapp.records import Vectors
from tests.chroma.conftest import Connect

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shares errands on Linux alone")

DEADLINE = 10.0
VECTORS: Vectors = np.eye(12, dtype=np.float32)

Open = Callable[[Connection], SharedReads]


@pytest.fixture
def open_reads() -> Iterator[Open]:
    """Open reads of one company in which two take part already."""
    company = secrets.token_hex(8)
    with ExitStack() as opened:

        def open_one(connection: Connection) -> SharedReads:
            reads = SharedReads(connection, company)
            opened.callback(reads.close)
            for _ in range(2):
                opened.enter_context(reads.taking_part())
            return reads

        yield open_one


def filled(connection: Connection, ids: str, holds: str = "anything") -> Collection:
    collection = connection.ensure("shelf", {"holds": holds})
    attempts = [{"attempt": f"{one}/1"} for one in ids]
    collection.add([*ids], VECTORS[: len(ids)], attempts, [""] * len(ids))
    return collection


def together(
    leader: SharedReads,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    *actions: Callable[[], Any],
) -> tuple[list[Any], int]:
    """Do the first action, and the others while its call stands; count the calls of all.

    Args:
        leader: Whoever makes the calls.
        monkeypatch: Holds up the first call.
        method: Of `Collection`, that the calls are made by.
        actions: One call each, if it went alone.
    """
    calls: list[None] = []
    real = getattr(Collection, method)
    stands = Event()

    def held_up(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        stands.set()
        while len(calls) == 1 and waiting(leader) < len(actions):
            Event().wait(0.001)
        return real(*arguments, **named)

    monkeypatch.setattr(Collection, method, held_up)
    with ThreadPoolExecutor(len(actions)) as threads:
        done = [threads.submit(actions[0])]
        assert stands.wait(DEADLINE)
        done += [threads.submit(action) for action in actions[1:]]
        return [one.result(DEADLINE) for one in done], len(calls)


def waiting(reads: SharedReads) -> int:
    return sum(sum(lanes._waiting) for lanes in reads._calls._lanes.values())


def test_queries_of_two_processes_go_together(
    connect: Connect, open_reads: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = filled(connect(), "abcdefghijkl")
    leader, other = open_reads(connect()), open_reads(connect())

    def asked(reads: SharedReads, row: int) -> Callable[[], Any]:
        return lambda: reads.nearest(shelf, VECTORS[row], limit=1)

    actions = [asked(one, row) for row, one in enumerate([leader, other, leader, other])]
    found, calls = together(leader, monkeypatch, "query_many", *actions)

    assert [near.ids for near in found] == [["a"], ["b"], ["c"], ["d"]]
    assert [near.distances[0] for near in found] == pytest.approx([0] * 4, abs=1e-6)
    assert calls == 2


def test_each_is_told_which_of_its_own_heads_are_as_they_were(
    connect: Connect, open_reads: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = filled(connect(), "abc")
    leader, other = open_reads(connect()), open_reads(connect())

    def asked(reads: SharedReads, **attempts: str) -> Callable[[], Any]:
        return lambda: reads.current(heads, attempts)

    found, calls = together(
        leader,
        monkeypatch,
        "get",
        asked(leader, a="a/1"),
        asked(other, a="a/1", b="b/1"),
        asked(other, b="b/1", c="c/0"),
        asked(leader, d="d/1"),
    )

    assert found == [["a"], ["a", "b"], ["b"], []]
    assert calls == 2


def test_who_takes_different_attempts_for_the_current_one_is_told_apart(
    connect: Connect, open_reads: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = filled(connect(), "ab")
    leader = open_reads(connect())

    def asked(**attempts: str) -> Callable[[], Any]:
        return lambda: leader.current(heads, attempts)

    found, calls = together(
        leader, monkeypatch, "get", asked(b="b/1"), asked(a="a/0"), asked(a="a/1", b="b/1")
    )

    assert found == [["b"], [], ["a", "b"]]
    assert calls == 2


def test_a_process_that_knows_an_older_collection_of_that_name_answers_nobody(
    connect: Connect, open_reads: Open
) -> None:
    old, new = connect(), connect()
    leader, other = open_reads(old), open_reads(new)
    leader.nearest(filled(old, "ab"), VECTORS[0], limit=1)
    new.drop("shelf")
    shelf = filled(new, "cd", "another thing")

    assert other.nearest(shelf, VECTORS[1], limit=1).ids == ["d"]
    assert other.current(shelf, {"c": "c/1"}) == ["c"]


def test_who_reads_alone_asks_nobody(connect: Connect) -> None:
    connection = connect()
    reads = SharedReads(connection, secrets.token_hex(8))
    shelf = filled(connection, "ab")

    with reads.taking_part():
        assert reads.nearest(shelf, VECTORS[0], limit=1).ids == ["a"]
        assert reads.current(shelf, {"a": "a/1"}) == ["a"]

    assert not reads._calls._lanes


def test_a_query_for_very_many_goes_alone(connect: Connect, open_reads: Open) -> None:
    connection = connect()
    reads = open_reads(connection)
    shelf = filled(connection, "ab")

    assert sorted(reads.nearest(shelf, VECTORS[0], limit=1001).ids) == ["a", "b"]
    assert not reads._calls._lanes
    reads.nearest(shelf, VECTORS[0], limit=1000)
    assert reads._calls._lanes
