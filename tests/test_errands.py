"""One of several processes does what all of them are asked for, and nobody depends on it."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from memapp import errands
from memapp.errands import Errands
from memapp.errors import StoreBroken, StoreTimeout

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shares errands on Linux alone")

DEADLINE = 10.0

Open = Callable[[Callable[[str], str]], Errands[str, str]]


def by(who: str) -> Callable[[str], str]:
    return lambda item: f"{item} by {who}"


@pytest.fixture
def company() -> Iterator[Open]:
    """Open errands that share a name; closed at the end."""
    name = secrets.token_hex(8)
    opened: list[Errands[str, str]] = []

    def open_one(do: Callable[[str], str]) -> Errands[str, str]:
        opened.append(Errands(name, do))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_who_comes_first_does_the_errands_of_all(company: Open) -> None:
    first, second, third = company(by("first")), company(by("second")), company(by("third"))

    done = [one.run("a") for one in (first, second, third, second)]

    assert done == ["a by first"] * 4
    assert [one.leads for one in (first, second, third)] == [True, False, False]


def test_a_leader_that_has_the_name_and_is_about_to_listen_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands, "LISTENS", DEADLINE)
    name = secrets.token_hex(8)
    leader, asker = Errands(name, by("leader")), Errands(name, by("asker"))
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(2) as threads:
        listener.bind(f"\0memapp.{name}")
        done = threads.submit(asker.run, "a")
        with pytest.raises(TimeoutError):
            done.result(timeout=0.02)
        listener.listen()
        accepting = threads.submit(leader._accept, listener)

        assert done.result(timeout=DEADLINE) == "a by leader"

        asker.close()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.result(timeout=DEADLINE)


def test_a_name_that_nobody_listens_to_holds_nobody_up_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands, "LISTENS", 0.01)
    name = secrets.token_hex(8)
    asker = Errands(name, by("asker"))
    with socket.socket(socket.AF_UNIX) as holder:
        holder.bind(f"\0memapp.{name}")
        assert asker.run("a") == "a by asker"
        holder.listen()

        assert asker.run("b") == "b by asker"


def test_without_a_name_each_does_its_own() -> None:
    first, second = Errands("", by("first")), Errands("", by("second"))

    assert [first.run("a"), second.run("a")] == ["a by first", "a by second"]


def test_errors_come_back_as_they_were_raised(company: Open) -> None:
    def fail(item: str) -> str:
        raise StoreTimeout(item)

    company(fail)._takes_lead()
    asker = company(by("asker"))

    for _ in range(2):
        with pytest.raises(StoreTimeout, match="too long"):
            asker.run("too long")


def test_many_at_once_each_get_their_own_outcome(company: Open) -> None:
    company(by("leader"))._takes_lead()
    asker = company(by("asker"))

    with ThreadPoolExecutor(16) as threads:
        done = list(threads.map(asker.run, map(str, range(200))))

    assert done == [f"{n} by leader" for n in range(200)]


def test_when_the_leader_has_gone_another_takes_over(company: Open) -> None:
    first, second, third = company(by("first")), company(by("second")), company(by("third"))
    first.run("a")
    second.run("a")
    first.close()

    done = [second.run("b"), second.run("c"), third.run("d")]

    assert done == ["b by second", "c by second", "d by second"]
    assert second.leads


def test_who_does_not_answer_in_time_is_asked_no_more(
    company: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "PATIENCE", 0.05)
    monkeypatch.setattr(errands, "AVOIDED", 1000)
    asked: list[str] = []
    released = Event()

    def hang(item: str) -> str:
        asked.append(item)
        released.wait(DEADLINE)
        return "late"

    company(hang)._takes_lead()
    asker = company(by("asker"))

    assert [asker.run("a"), asker.run("b")] == ["a by asker", "b by asker"]
    assert asked == ["a"]
    released.set()


def test_who_waits_for_a_moment_only_asks_again_after_some_moments(
    company: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "AVOIDED", 0)
    released = Event()
    asked: list[str] = []

    def hang_once(item: str) -> str:
        asked.append(item)
        if len(asked) == 1:
            released.wait(DEADLINE)
        return f"{item} by leader"

    company(hang_once)._takes_lead()
    asker = company(by("asker"))

    assert asker.run("a", 0.01) == "a by asker"
    assert asker.run("b") == "b by leader"
    released.set()


def test_what_is_under_way_is_done_before_the_leader_goes(company: Open) -> None:
    begun, released = Event(), Event()

    def wait(item: str) -> str:
        begun.set()
        assert released.wait(DEADLINE)
        return f"{item} by leader"

    leader = company(wait)
    leader._takes_lead()
    asker = company(by("asker"))
    with ThreadPoolExecutor(2) as threads:
        outcome = threads.submit(asker.run, "a")
        assert begun.wait(DEADLINE)
        closing = threads.submit(leader.close)
        assert not closing.done()
        released.set()

        assert outcome.result(DEADLINE) == "a by leader"
        closing.result(DEADLINE)


LEADER = """
import sys
from memapp.errands import Errands
def hang(item):
    print("asked", flush=True)
    sys.stdin.read()
leader = Errands(sys.argv[1], hang)
assert leader._takes_lead()
print("leads", flush=True)
sys.stdin.read()
"""


@contextmanager
def leading_process(name: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", LEADER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "leads\n"
        yield process
        process.kill()


def test_a_leader_killed_half_way_costs_its_askers_nothing() -> None:
    name = secrets.token_hex(8)
    asker = Errands(name, by("asker"))
    with leading_process(name) as leader, ThreadPoolExecutor(1) as threads:
        outcome = threads.submit(asker.run, "a")
        assert leader.stdout is not None
        assert leader.stdout.readline() == "asked\n"

        leader.kill()

        assert outcome.result(DEADLINE) == "a by asker"
        leader.wait(DEADLINE)
        assert asker.run("b") == "b by asker"
    assert asker.leads
    asker.close()


def test_a_process_of_another_user_is_never_asked(
    company: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    company(by("stranger"))._takes_lead()
    asker = company(by("asker"))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    assert asker.run("a") == "a by asker"


def test_rubbish_on_the_socket_does_not_disturb_the_leader(company: Open) -> None:
    leader, asker = company(by("leader")), company(by("asker"))
    leader._takes_lead()
    for rubbish in (b"", b"\0" * 8, b"\0" * 7 + b"\5hello", b"\0" * 7 + b"\1c"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(leader._address)
            stranger.sendall(rubbish)

    assert asker.run("a") == "a by leader"


def test_an_error_is_no_outcome_of_the_leader(company: Open) -> None:
    def fail(_: str) -> str:
        message = "damaged"
        raise StoreBroken(message)

    leader = company(fail)
    leader._takes_lead()

    with pytest.raises(StoreBroken, match="damaged"):
        leader.run("a")


def test_a_leader_that_can_take_in_nobody_gives_up_its_place(company: Open) -> None:
    first, second = company(by("first")), company(by("second"))
    first.run("a")
    assert first._listener is not None

    first._listener.shutdown(socket.SHUT_RDWR)

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(second.run, "b").result(DEADLINE) == "b by second"
    assert first.run("c") == "c by first"
