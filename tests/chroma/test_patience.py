"""A slow Chroma is waited for, a dead one is not."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from memapp.backends import http
from memapp.chroma.connection import Connection
from memapp.chroma.faults import OutcomeUnknown
from memapp.chroma_config import ChromaConfig, Patience
from memapp.errors import MemappError, StoreTimeout, StoreUnavailable
from memapp.records import Vectors
from tests.chroma.fake_servers import Answer, Gate, gate, listener, say_nothing
from tests.chroma_server import ChromaServer

PATIENCE = Patience(
    connect_timeout=0.5, probe_timeout=0.5, heartbeat_timeout=0.5, read_timeout=60, backoff=0.01
)
HEARTBEAT = ("GET", "/api/v2/heartbeat")


def connection_to(port: int, patience: Patience = PATIENCE, **config: str) -> Connection:
    made = ChromaConfig(host="127.0.0.1", port=port, patience=patience, **config)  # type: ignore[arg-type]
    return Connection(partial(http.connect, made), patience=patience)


def in_parallel(call: Callable[[], object], times: int) -> list[MemappError]:
    """Call from several threads at once and return what was raised."""
    failures: list[MemappError] = []
    together = threading.Barrier(times)

    def run() -> None:
        together.wait()
        try:
            call()
        except MemappError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def eye(count: int) -> Vectors:
    return np.eye(count, 8, dtype=np.float32)


@pytest.fixture
def relay(chroma_server: ChromaServer) -> Iterator[Gate]:
    with gate(chroma_server.port) as relay:
        yield relay


@pytest.fixture
def connection(relay: Gate, chroma_database: str) -> Iterator[Connection]:
    connection = connection_to(relay.port, database=chroma_database)
    yield connection
    connection.close()


@pytest.fixture
def frozen(chroma_server: ChromaServer) -> Iterator[Connection]:
    """A connection that was used before its server froze."""
    connection = connection_to(chroma_server.port)
    connection.names()
    chroma_server.freeze()
    yield connection
    chroma_server.thaw()
    connection.close()


def test_a_frozen_server_is_given_up_although_much_time_is_left(frozen: Connection) -> None:
    with pytest.raises(StoreUnavailable, match="no sign of life"):
        frozen.names()


def test_a_frozen_server_is_given_up_on_a_new_connection(
    frozen: Connection, chroma_server: ChromaServer
) -> None:
    fresh = connection_to(chroma_server.port)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="no sign of life"):
            fresh.names()
    fresh.close()


def test_a_thawed_server_is_found_again(frozen: Connection, chroma_server: ChromaServer) -> None:
    with pytest.raises(StoreUnavailable):
        frozen.names()
    chroma_server.thaw()
    assert isinstance(frozen.names(), list)


def test_a_frozen_server_that_takes_no_large_write_is_given_up(
    chroma_server: ChromaServer, chroma_database: str
) -> None:
    connection = connection_to(chroma_server.port, database=chroma_database)
    shelf = connection.ensure("shelf", {"kind": "a"})
    shelf.add(["0"], eye(1), [{"n": 0}], ["text"])
    chroma_server.freeze()
    try:
        with pytest.raises(StoreTimeout, match="CHROMA_PROBE_TIMEOUT"):
            shelf.upsert(["1"], eye(1), [{"n": 1}], ["x" * 20_000_000])
    finally:
        chroma_server.thaw()
        connection.close()


def test_a_slow_server_is_waited_for(relay: Gate, connection: Connection) -> None:
    connection.names()
    relay.delay = 3 * PATIENCE.probe_timeout
    assert connection.names() == []


def test_a_slow_answer_is_asked_for_once(relay: Gate, connection: Connection) -> None:
    connection.names()
    relay.requests.clear()
    relay.delay = 3 * PATIENCE.probe_timeout
    connection.names()
    assert len([asked for asked in relay.requests if asked != HEARTBEAT]) == 1
    assert HEARTBEAT in relay.requests


def test_answers_to_other_calls_are_signs_of_life_too(relay: Gate, connection: Connection) -> None:
    connection.names()
    relay.delay, relay.delayed, relay.is_deaf = 4 * PATIENCE.probe_timeout, "_count", True
    ended = threading.Event()

    def keep_busy() -> None:
        while not ended.is_set():
            connection.names()

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        assert connection.run(lambda session: session.client.count_collections()) == 0
    finally:
        ended.set()
        busy.join()


def test_the_default_times_notice_a_dead_server_within_two_seconds() -> None:
    patience = Patience()
    assert patience.probe_timeout + patience.heartbeat_timeout < 2
    assert patience.connect_timeout < 2


def test_a_slow_server_that_dies_while_it_is_waited_for_is_given_up(
    relay: Gate, connection: Connection
) -> None:
    connection.names()
    relay.delay = 50
    threading.Timer(3 * PATIENCE.probe_timeout, setattr, (relay, "is_mute", True)).start()
    with pytest.raises(StoreUnavailable, match="no sign of life"):
        connection.names()


def test_a_living_server_is_not_waited_for_for_ever(relay: Gate, chroma_database: str) -> None:
    patience = replace(PATIENCE, read_timeout=1)
    connection = connection_to(relay.port, patience, database=chroma_database)
    connection.names()
    relay.delay = 50
    with pytest.raises(StoreTimeout, match="CHROMA_READ_TIMEOUT"):
        connection.names()
    connection.close()


def test_a_call_cut_off_is_repeated(relay: Gate, connection: Connection) -> None:
    shelf = connection.ensure("shelf", {"kind": "a"})
    shelf.add(["1"], eye(1), [{"n": 1}], ["text"])
    relay.hang_ups = 2
    assert shelf.count() == 1
    assert relay.hang_ups == 0


def test_a_write_cut_off_is_not_repeated_and_its_outcome_told_to_be_unknown(
    relay: Gate, connection: Connection
) -> None:
    shelf = connection.ensure("shelf", {"kind": "a"})
    relay.dropped, relay.hang_ups = "/add", 1
    with pytest.raises(OutcomeUnknown):
        shelf.add(["1"], eye(1), [{"n": 1}], ["text"])
    assert len([path for _, path in relay.requests if path.endswith("/add")]) == 1
    assert shelf.count() == 1


def test_a_write_that_was_turned_away_is_repeated(relay: Gate, connection: Connection) -> None:
    shelf = connection.ensure("shelf", {"kind": "a"})
    relay.answers = Answer(429)
    threading.Timer(0.005, setattr, (relay, "answers", None)).start()
    shelf.add(["1"], eye(1), [{"n": 1}], ["text"])
    assert shelf.count() == 1


def test_a_call_cut_off_by_closing_is_repeated_when_a_client_may_be_open_again(
    relay: Gate, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.connection.DRAIN_SECONDS", 0.1)
    connection.names()
    opened: list[bool] = []
    failures: list[MemappError] = []
    relay.requests.clear()
    relay.delay = 3
    calling = threading.Thread(target=lambda: failures.extend(in_parallel(connection.names, 1)))
    calling.start()
    while not relay.requests:
        time.sleep(0.01)
    connection.hold()
    relay.delay = 0
    for _ in range(20):
        calling.join(0.05)
        opened.append(connection._session is not None)
    connection.resume()
    calling.join()
    assert failures == []
    assert not any(opened)


def test_repetitions_are_bounded(relay: Gate, connection: Connection) -> None:
    connection.names()
    relay.requests.clear()
    relay.hang_ups = 99
    with pytest.raises(StoreUnavailable, match="broke"):
        connection.names()
    assert len(relay.requests) == 1 + PATIENCE.retries


def test_a_drop_whose_answer_was_lost_still_tells_that_there_was_one(
    relay: Gate, connection: Connection
) -> None:
    connection.ensure("shelf", {"kind": "a"})
    relay.hang_ups = 1
    assert connection.drop("shelf") is True


def test_a_rename_whose_answer_was_lost_succeeds(relay: Gate, connection: Connection) -> None:
    connection.ensure("old", {"kind": "a"})
    relay.hang_ups = 1
    connection.rename("old", "new")
    assert connection.names() == ["new"]


def test_a_gate_that_comes_back_is_found_again(relay: Gate, connection: Connection) -> None:
    connection.names()
    relay.answers = Answer(503)
    with pytest.raises(StoreUnavailable):
        connection.names()
    relay.answers = None
    assert connection.names() == []


def test_while_nobody_answers_one_call_at_a_time_is_let_through(
    relay: Gate, connection: Connection
) -> None:
    connection.names()
    relay.is_mute = True
    with pytest.raises(StoreUnavailable):
        connection.names()
    relay.requests.clear()
    failures = in_parallel(connection.names, times=8)
    assert len(failures) == 8
    # The one that was let through asked for a heartbeat, and once more when none came.
    assert relay.requests == [HEARTBEAT, HEARTBEAT]


def test_calls_that_wait_for_a_first_connection_fail_together() -> None:
    connected = threading.Semaphore(0)

    def count(connection: object) -> None:
        connected.release()
        say_nothing(connection)  # type: ignore[arg-type]

    with listener(count) as port:
        connection = connection_to(port)
        failures = in_parallel(connection.names, times=8)
        connection.close()
    assert {type(failure) for failure in failures} == {StoreUnavailable}
    assert len(failures) == 8
    # The first request and the heartbeat of one attempt, not of eight.
    assert sum(connected.acquire(blocking=False) for _ in range(20)) == 2


def test_an_outage_is_over_when_the_server_runs_again(chroma_server: ChromaServer) -> None:
    connection = connection_to(chroma_server.port)
    connection.names()
    chroma_server.kill()
    try:
        with pytest.raises(StoreUnavailable, match="not running"):
            connection.names()
    finally:
        chroma_server.start()
    assert isinstance(connection.names(), list)
    connection.close()


def test_what_was_acknowledged_outlives_a_killed_server(
    chroma_server: ChromaServer, chroma_database: str
) -> None:
    connection = connection_to(chroma_server.port, database=chroma_database)
    shelf = connection.ensure("shelf", {"kind": "a"})
    shelf.add(["1", "2"], eye(2), [{"n": 1}, {"n": 2}], ["one", "two"])
    chroma_server.kill()
    chroma_server.start()
    assert shelf.query(eye(2)[1], limit=1).documents == ["two"]
    connection.close()
