"""One value per process."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from memapp.embedders.per_process import PerProcess


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Pretend to be the process with this id."""
    return lambda pid: monkeypatch.setattr(os, "getpid", lambda: pid)


def test_a_process_makes_its_value_once() -> None:
    value = PerProcess(object)

    assert value.get() is value.get()


def test_nothing_is_made_before_it_is_needed() -> None:
    made: list[int] = []

    PerProcess(lambda: made.append(1))

    assert made == []


def test_a_child_makes_its_own_value(become: Callable[[int], None]) -> None:
    value = PerProcess(object)
    become(1)
    parents = value.get()

    become(2)

    assert value.get() is not parents


def test_a_child_is_not_stopped_by_a_lock_held_at_the_fork(become: Callable[[int], None]) -> None:
    is_making, may_finish = threading.Event(), threading.Event()

    def make() -> int:
        if os.getpid() == 1:
            is_making.set()
            may_finish.wait()
        return os.getpid()

    value = PerProcess(make)
    become(1)
    parents_thread = threading.Thread(target=value.get)
    parents_thread.start()
    is_making.wait()

    become(2)

    assert value.get() == 2
    may_finish.set()
    parents_thread.join()


def test_threads_that_ask_at_once_get_the_same_value() -> None:
    barrier = threading.Barrier(8, timeout=30)
    second_maker = threading.Barrier(2, timeout=0.2)
    made: list[object] = []

    def make() -> object:
        with suppress(threading.BrokenBarrierError):
            second_maker.wait()
        made.append(object())
        return made[-1]

    value = PerProcess(make)

    def get() -> object:
        barrier.wait()
        return value.get()

    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(get) for _ in range(8)]]

    assert len(made) == 1
    assert set(found) == set(made)


def test_a_value_that_could_not_be_made_is_tried_again() -> None:
    faults = [OSError("not yet")]

    def make() -> str:
        if faults:
            raise faults.pop()
        return "made"

    value = PerProcess(make)
    with pytest.raises(OSError, match="not yet"):
        value.get()

    assert value.get() == "made"
