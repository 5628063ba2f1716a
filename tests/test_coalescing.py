"""Coalesced calls: who waits is written together, answered alone, and never forgotten."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest

from memapp.coalescing import Coalescer, Turnstile
from memapp.errors import Conflict, StoreBroken

DEADLINE = 10.0


class Gate:
    """A write that stands still until it is let through, and remembers what it was given."""

    def __init__(self, answer: Callable[[list[int]], list[str]]) -> None:
        self.answer = answer
        self.entered = Event()
        self.opened = Event()
        self.rounds: list[list[int]] = []
        self.lock = Lock()
        self.inside = 0

    def write(self, items: list[int]) -> list[str]:
        with self.lock:
            self.inside += 1
            assert self.inside == 1, "two rounds at once"
            self.rounds.append(items)
        self.entered.set()
        assert self.opened.wait(DEADLINE)
        with self.lock:
            self.inside -= 1
        return self.answer(items)


def names(items: list[int]) -> list[str]:
    return [f"n{item}" for item in items]


def gathered(
    lane: Coalescer[int, str],
    gate: Gate,
    threads: ThreadPoolExecutor,
    submissions: list[list[int]],
) -> list["Future[list[str]]"]:
    """Submit the first alone and the others while it is being written; then let all through."""
    futures = [threads.submit(lane.submit, submissions[0])]
    assert gate.entered.wait(DEADLINE)
    futures += [threads.submit(lane.submit, items) for items in submissions[1:]]
    while len(lane._waiting) < len(submissions) - 1:
        Event().wait(0.001)
    gate.opened.set()
    return futures


def test_what_gathers_during_a_write_goes_in_one_next_write() -> None:
    gate = Gate(names)
    lane = Coalescer(gate.write, most=100)
    with ThreadPoolExecutor(20) as threads:
        futures = gathered(lane, gate, threads, [[n] for n in range(20)])
        answers = [future.result(DEADLINE) for future in futures]

    assert answers == [[f"n{n}"] for n in range(20)]
    assert [len(items) for items in gate.rounds] == [1, 19]


def test_a_round_is_no_larger_than_allowed_unless_one_submission_is() -> None:
    gate = Gate(names)
    lane = Coalescer(gate.write, most=4)
    with ThreadPoolExecutor(20) as threads:
        futures = gathered(lane, gate, threads, [[0], [1, 2], [3, 4], [5], [6, 7, 8, 9, 10, 11]])
        answers = [future.result(DEADLINE) for future in futures]

    assert [len(answer) for answer in answers] == [1, 2, 2, 1, 6]
    assert max(len(items) for items in gate.rounds) == 6
    assert all(len(items) <= 4 for items in gate.rounds if items != [6, 7, 8, 9, 10, 11])


def test_an_idle_lane_writes_at_once() -> None:
    lane = Coalescer(names, most=100)

    assert [lane.submit([n]) for n in range(3)] == [["n0"], ["n1"], ["n2"]]


def test_one_bad_submission_does_not_spoil_the_others() -> None:
    def picky(items: list[int]) -> list[str]:
        if 13 in items:
            raise StoreBroken
        return names(items)

    gate = Gate(picky)
    lane = Coalescer(gate.write, most=100)
    with ThreadPoolExecutor(20) as threads:
        futures = gathered(lane, gate, threads, [[n] for n in range(10, 16)])

        for number, future in zip(range(10, 16), futures, strict=True):
            if number == 13:
                with pytest.raises(StoreBroken):
                    future.result(DEADLINE)
            else:
                assert future.result(DEADLINE) == [f"n{number}"]


def test_a_failure_reaches_all_it_concerns_and_the_lane_goes_on() -> None:
    broken = Event()
    broken.set()

    def flaky(items: list[int]) -> list[str]:
        if broken.is_set():
            raise Conflict("taken", code="taken")
        return names(items)

    gate = Gate(flaky)
    lane = Coalescer(gate.write, most=100)
    failures = []
    with ThreadPoolExecutor(20) as threads:
        futures = gathered(lane, gate, threads, [[n] for n in range(8)])
        for future in futures:
            with pytest.raises(Conflict, match="taken") as caught:
                future.result(DEADLINE)
            failures.append(caught.value)
    assert {failure.code for failure in failures} == {"taken"}
    # One error raised by all would have gathered the tracebacks of all.
    assert len({id(failure) for failure in failures}) == 8

    broken.clear()
    assert lane.submit([1]) == ["n1"]


def test_hundreds_of_submissions_from_many_threads_are_all_answered() -> None:
    lane = Coalescer(names, most=7)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: lane.submit([n, -n]), range(500)))

    assert answers == [[f"n{n}", f"n{-n}"] for n in range(500)]


def test_lanes_that_share_a_turnstile_take_turns_and_gather_until_theirs_comes() -> None:
    gate = Gate(names)
    turnstile = Turnstile()
    first, second = (Coalescer(gate.write, most=100, turnstile=turnstile) for _ in range(2))
    with ThreadPoolExecutor(3) as threads:
        futures = [threads.submit(first.submit, [1])]
        assert gate.entered.wait(DEADLINE)
        futures.append(threads.submit(second.submit, [2]))
        while not second._is_led:
            Event().wait(0.001)
        futures.append(threads.submit(second.submit, [3]))
        while len(second._waiting) < 2:
            Event().wait(0.001)
        gate.opened.set()

        assert [future.result(DEADLINE) for future in futures] == [["n1"], ["n2"], ["n3"]]

    assert gate.rounds == [[1], [2, 3]]


def test_nobody_waits_at_a_turnstile_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Turnstile, "PATIENCE", 0.01)
    turnstile = Turnstile()

    with turnstile.passing():
        with turnstile.passing():
            pass
        with ThreadPoolExecutor(1) as threads:
            lane = Coalescer(names, most=1, turnstile=turnstile)
            assert threads.submit(lane.submit, [1]).result(DEADLINE) == ["n1"]
