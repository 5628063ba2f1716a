"""Joint calls: what processes of one name ask for at the same time goes in one call."""

import secrets
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest

from memapp import joint_calls
from memapp.errors import StoreBroken, StoreTimeout
from memapp.joint_calls import CROWDED, LANES, JointCalls

DEADLINE = 10.0

Calls = JointCalls[str, int, str]
Open = Callable[..., Calls]


class Gate:
    """A call that stands still until it is let through, and remembers what it was given."""

    def __init__(self) -> None:
        self.entered = Event()
        self.opened = Event()
        self.given: list[tuple[str, list[int]]] = []
        self._lock = Lock()

    def call(self, kind: str, items: list[int]) -> list[str]:
        with self._lock:
            self.given.append((kind, items))
        self.entered.set()
        assert self.opened.wait(DEADLINE)
        return [f"{kind}{item}" for item in items]


@pytest.fixture
def company() -> Iterator[Open]:
    """Open joint calls that share a name, as if each were a process's; closed at the end."""
    name = secrets.token_hex(8)
    opened: list[Calls] = []

    def open_one(call: Callable[[str, list[int]], list[str]], *, most: int = 100) -> Calls:
        opened.append(JointCalls(name, call, most=most))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


def waiting(calls: Calls, kind: str) -> int:
    """Return how many items wait, those of the calls under way included."""
    lanes = calls._lanes.get(kind)
    return 0 if lanes is None else sum(lanes._waiting)


def asked_while_it_stands(
    calls: Calls, askers: list[Calls], gate: Gate, threads: ThreadPoolExecutor
) -> list["Future[str]"]:
    """Have one item asked for, and each asker ask for one more meanwhile; then open the gate."""
    futures = [threads.submit(calls.submit, "a", 0)]
    assert gate.entered.wait(DEADLINE)
    futures += [threads.submit(one.submit, "a", n) for n, one in enumerate(askers, 1)]
    while waiting(calls, "a") < len(futures):
        Event().wait(0.001)
    gate.opened.set()
    return futures


@pytest.mark.skipif(sys.platform != "linux", reason="shares errands on Linux alone")
def test_what_two_processes_ask_for_meanwhile_goes_in_one_call(
    company: Open, threads: ThreadPoolExecutor
) -> None:
    gate, other = Gate(), Gate()
    first, second = company(gate.call), company(other.call)

    asked = asked_while_it_stands(first, [first, second, first, second], gate, threads)

    assert [one.result(DEADLINE) for one in asked] == ["a0", "a1", "a2", "a3", "a4"]
    assert [(kind, sorted(items)) for kind, items in gate.given] == [
        ("a", [0]),
        ("a", [1, 2, 3, 4]),
    ]
    assert other.given == []


def test_kinds_do_not_go_together(company: Open, threads: ThreadPoolExecutor) -> None:
    gate = Gate()
    calls = company(gate.call)
    asked = [threads.submit(calls.submit, kind, 0) for kind in "ab"]
    while len(gate.given) < 2:
        Event().wait(0.001)
    gate.opened.set()

    assert [one.result(DEADLINE) for one in asked] == ["a0", "b0"]
    assert sorted(gate.given) == [("a", [0]), ("b", [0])]


def test_another_call_goes_on_only_where_many_wait(
    company: Open, threads: ThreadPoolExecutor
) -> None:
    gate = Gate()
    calls = company(gate.call)

    asked = asked_while_it_stands(calls, [calls] * CROWDED, gate, threads)

    assert len({one.result(DEADLINE) for one in asked}) == CROWDED + 1
    # The last came to a crowded lane, the others wait for the first.
    assert sorted(len(items) for _, items in gate.given) == [1, 1, CROWDED - 1]


def test_no_more_calls_go_on_than_there_are_lanes(
    company: Open, threads: ThreadPoolExecutor
) -> None:
    gate = Gate()
    calls = company(gate.call)

    asked = asked_while_it_stands(calls, [calls] * (CROWDED * LANES + LANES - 1), gate, threads)

    answers = {one.result(DEADLINE) for one in asked}
    assert answers == {f"a{n}" for n in range(len(asked))}
    # The first of each lane, then all others of each lane.
    assert sorted(len(items) for _, items in gate.given) == [1] * LANES + [CROWDED] * LANES
    assert waiting(calls, "a") == 0


def test_one_that_spoils_a_call_spoils_it_for_itself_alone(
    company: Open, threads: ThreadPoolExecutor
) -> None:
    gate = Gate()

    def call(kind: str, items: list[int]) -> list[str]:
        answers = gate.call(kind, items)
        if 2 in items:
            message = "not this one"
            raise StoreBroken(message)
        return answers

    calls = company(call)
    asked = asked_while_it_stands(calls, [calls] * 3, gate, threads)

    assert [one.result(DEADLINE) for one in asked[:2]] == ["a0", "a1"]
    with pytest.raises(StoreBroken, match="not this one"):
        asked[2].result(DEADLINE)
    assert asked[3].result(DEADLINE) == "a3"


@pytest.mark.skipif(sys.platform != "linux", reason="shares errands on Linux alone")
def test_errors_come_back_to_the_process_that_asked(company: Open) -> None:
    def fail(kind: str, items: list[int]) -> list[str]:
        message = f"{kind}{items}"
        raise StoreTimeout(message)

    calls = company(fail)
    with pytest.raises(StoreTimeout):
        calls.submit("a", 0)

    with pytest.raises(StoreTimeout, match=r"a\[1\]"):
        company(Gate().call).submit("a", 1)


def test_kinds_that_were_not_asked_for_lately_are_forgotten(
    company: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint_calls, "_KINDS", 2)
    calls = company(lambda kind, items: [f"{kind}{item}" for item in items])

    for kind in "abab" + "cb":
        assert calls.submit(kind, 1) == f"{kind}1"

    assert list(calls._lanes) == ["c", "b"]
