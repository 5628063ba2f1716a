"""What a process keeps of a user is what Chroma has, whoever writes, whatever is interrupted.

Several stores over connections of their own stand for several processes.
"""

import itertools
import math
import random
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memapp.backends import http
from memapp.chroma import (
    cache_budget,
    change_log,
    leases,
    memory_layout,
    roster,
    user_cache,
    user_reading,
    user_snapshot,
    write_marks,
)
from memapp.chroma.cache_budget import LARGEST_SHARE, Budget
from memapp.chroma.collection import Collection, Records
from memapp.chroma.connection import Connection
from memapp.chroma.memories import ChromaMemories
from memapp.chroma.memory_views import KeptView
from memapp.chroma.user_snapshot import MEMORY_OVERHEAD
from memapp.chroma.where import stamp
from memapp.chroma.write_marks import WriteMarks
from memapp.chroma_config import ChromaConfig
from memapp.errors import StoreBroken, StoreTimeout
from memapp.records import EmbedderIdentity, Memory, MemoryDraft, MemoryScope, Vector
from tests.chroma.memory_stores import open_memories
from tests.chroma_server import ChromaServer

IDENTITY = EmbedderIdentity("test", "axes", 8, "1")
ANN = MemoryScope("ann")


def clock() -> datetime:
    return datetime.now(UTC)


class Processes:
    """Opens stores as if each were a process."""

    def __init__(self, server: ChromaServer, database: str, kind: str) -> None:
        config = ChromaConfig(host=server.host, port=server.port, database=database)
        self._database = database
        self._kind = kind
        self._company = secrets.token_hex(8) if "company" in kind else ""
        self._connect = partial(http.connect, config)
        self._opened: list[Connection] = []
        self._stores: list[ChromaMemories] = []

    def start(
        self, *, capacity: int = 10_000_000, loads_at: int = 1, alone: bool = False
    ) -> ChromaMemories:
        connection = Connection(self._connect, patience=ChromaConfig().patience)
        self._opened.append(connection)
        store = open_memories(
            connection,
            IDENTITY,
            clock=clock,
            shards=2,
            cache=Budget(capacity, loads_at=loads_at),
            marks=self._marks(),
            company="" if alone else self._company,
            family=self._family(),
        )
        self._stores.append(store)
        return store

    def _marks(self) -> WriteMarks | None:
        if self._kind == "one host":
            return WriteMarks.of_host(self._database)
        family = self._family()
        return WriteMarks.of_host(f"{self._database} {family}") if family else None

    def _family(self) -> str | None:
        match self._kind:
            case "one family and company":
                return "first"
            case "two families":
                return ["first", "second"][len(self._stores) % 2]
            case "a family and strangers":
                return ["first", ""][len(self._stores) % 2]
        return None

    @property
    def share_counts(self) -> bool:
        """Whether each knows how many writes all others have made."""
        return self._kind == "one host"

    @property
    def has_company(self) -> bool:
        """Whether one process writes for the others."""
        return bool(self._company)

    def stop(self) -> None:
        for store in self._stores:
            store._errands.close()
        for connection in self._opened:
            connection.close()


@pytest.fixture(
    params=[
        "checked in Chroma",
        "one host",
        "one company",
        "one family and company",
        "two families",
        "a family and strangers",
    ]
)
def processes(
    request: pytest.FixtureRequest,
    chroma_server: ChromaServer,
    chroma_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Processes]:
    monkeypatch.setattr(write_marks, "_shared_folder", lambda: tmp_path)
    # Leases are taken whenever nobody else has one.
    for pause in ("QUIET", "OVERTAKEN", "BACK_OFF"):
        monkeypatch.setattr(leases, pause, 0.0)
    monkeypatch.setattr(leases, "LEASE", 0.1)
    monkeypatch.setattr(leases, "WAITED", 0.12)
    opened = Processes(chroma_server, chroma_database, request.param)
    yield opened
    opened.stop()


def vector(seed: int) -> Vector:
    row = np.random.default_rng(seed).standard_normal(8)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def add(store: ChromaMemories, text: str, user: str = "ann") -> Memory:
    seed = sum(map(ord, text))
    return store.add("acme", [MemoryDraft(user, text)], vector(seed)[np.newaxis, :])[0].memory


def shard_of(user: str) -> int:
    return memory_layout.shard_of_user(user, 2)


def texts(store: ChromaMemories, user: str = "ann") -> set[str]:
    return {memory.text for memory in store.view("acme", MemoryScope(user)).scan(None)}


def nearest(store: ChromaMemories) -> list[tuple[str, Memory, float]]:
    found = store.view("acme", ANN).nearest(vector(7), 9, None)
    return sorted((one.memory.id, one.memory, one.cosine) for one in found)


def is_kept(store: ChromaMemories, user: str = "ann") -> bool:
    return isinstance(store.view("acme", MemoryScope(user)), KeptView)


def test_a_small_user_is_kept_from_the_first_search_on(processes: Processes) -> None:
    store = processes.start(loads_at=3)
    add(store, "tea")

    assert is_kept(store)


def test_a_larger_user_is_kept_from_the_third_search_on(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_reading, "SMALL", 2)
    store = processes.start(loads_at=3)
    for text in ("tea", "milk", "salt"):
        add(store, text)

    assert [is_kept(store) for _ in range(4)] == [False, False, True, True]


def test_a_small_user_for_whom_there_is_no_room_is_not_read_again_and_again(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = processes.start(capacity=LARGEST_SHARE * (MEMORY_OVERHEAD - 1), loads_at=3)
    add(store, "tea")
    assert not is_kept(store)
    asked: list[object] = []
    monkeypatch.setattr(Collection, "get", lambda *_, **asking: asked.append(asking))

    assert [is_kept(store) for _ in range(4)] == [False] * 4
    assert asked == []


def test_writers_whom_another_thread_gets_to_know_meanwhile_are_not_taken_for_known(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = processes.start()
    add(store, "tea")
    assert is_kept(store)
    cache = next(one for one in store._caches.values() if "ann" in one._users)
    known = cache._roster
    cache.drop("ann")
    read = user_cache._fields

    def read_while_another_learns(shard: Collection, ids: Any) -> Any:
        found = read(shard, ids)
        cache._roster = known + 1
        return found

    monkeypatch.setattr(user_cache, "_fields", read_while_another_learns)

    assert is_kept(store)
    assert cache._users["ann"].roster == known


def test_a_user_of_whom_nothing_is_known_is_not_kept(processes: Processes) -> None:
    store = processes.start()
    add(store, "tea", user="bob")

    assert not is_kept(store)
    assert texts(store) == set()


def test_every_process_sees_what_any_other_has_acknowledged(processes: Processes) -> None:
    stores = [processes.start() for _ in range(3)]
    for n in range(12):
        add(stores[n % 3], f"fact {n}")
        for store in stores:
            assert texts(store) == {f"fact {m}" for m in range(n + 1)}
    assert all(is_kept(store) for store in stores)


def test_a_deleted_memory_is_gone_from_every_process(processes: Processes) -> None:
    here, there = processes.start(), processes.start()
    memory = add(here, "tea")
    add(here, "coffee")
    assert texts(there) == {"tea", "coffee"}

    here.delete("acme", memory.id)

    assert texts(there) == {"coffee"}
    assert texts(here) == {"coffee"}


def test_a_changed_memory_is_changed_in_every_process(processes: Processes) -> None:
    here, there = processes.start(), processes.start()
    memory = add(here, "tea")
    assert texts(there) == {"tea"}

    here.revise("acme", memory, replace(memory, text="coffee", version=2), vector(99))

    assert texts(there) == {"coffee"}
    near = there.view("acme", ANN).nearest(vector(99), 1, None)[0]
    assert near.cosine == pytest.approx(1.0, abs=1e-5)


def test_a_forgotten_user_is_forgotten_by_every_process(processes: Processes) -> None:
    here, there, third = (processes.start() for _ in range(3))
    add(here, "tea")
    add(there, "coffee")
    assert texts(there) == texts(third) == {"tea", "coffee"}

    here.forget("acme", "ann", dry_run=False)

    assert texts(there) == texts(third) == texts(here) == set()
    add(there, "water")
    assert texts(here) == texts(third) == {"water"}
    add(here, "wine")
    assert texts(there) == texts(third) == {"water", "wine"}


@pytest.mark.parametrize("processes", ["one host"], indirect=True)
def test_what_must_be_read_anew_is_not_believed_until_it_is(processes: Processes) -> None:
    here, there = processes.start(), processes.start()
    add(here, "tea")
    assert texts(there) == {"tea"}
    here.forget("acme", "ann", dry_run=False)
    shard = there._shelves.find_shard_of_user("acme", "ann")
    assert shard is not None
    cache = there._caches[shard.name]
    user = cache._users["ann"]

    for _ in range(2):
        assert cache._check(shard, user) is None
        assert not cache._is_unchanged((shard.name, "ann"), user)
        assert cache._missed_by(shard, user) is None, "it may have been followed half-way"


def test_a_user_whose_writers_are_all_gone_is_forgotten_too(processes: Processes) -> None:
    here, there, third = (processes.start() for _ in range(3))
    add(here, "tea")
    shard = here._shelves.find_shard_of_user("acme", "ann")
    assert shard is not None
    shard.delete(list(change_log.read_slots(shard)))
    assert texts(there) == {"tea"}
    assert is_kept(there)

    third.forget("acme", "ann", dry_run=False)

    assert texts(there) == set()


def test_an_announced_deletion_is_followed_until_it_is_made(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = processes.start(), processes.start()
    memory = add(here, "tea")
    assert texts(there) == {"tea"}
    delete = Collection.delete

    def interrupted(_self: object, _ids: object, **_wanted: Any) -> None:
        raise StoreTimeout

    monkeypatch.setattr(Collection, "delete", interrupted)
    with pytest.raises(StoreTimeout):
        here.delete("acme", memory.id)
    assert texts(there) == {"tea"}
    assert texts(there) == {"tea"}

    # The request that timed out reaches Chroma after all.
    monkeypatch.setattr(Collection, "delete", delete)
    shard = here._shelves.find_shard_of_user("acme", "ann")
    assert shard is not None
    shard.delete([memory.id])

    assert texts(there) == set()
    assert is_kept(there)


def test_who_begins_to_read_between_announcement_and_deletion_sees_the_deletion(
    processes: Processes,
) -> None:
    here, there = processes.start(), processes.start()
    memory = add(here, "tea")
    shard = here._shelves.find_shard_of_user("acme", "ann")
    assert shard is not None
    log = here._shard("acme", int(shard.name[-3:], 16)).log
    gone = change_log.Awaited(change_log.GONE, stamp(memory.created_at), 0)
    change = change_log.Change("ann", (memory.id,), awaited=gone)

    with (
        here._shard("acme", int(shard.name[-3:], 16))._changing(["ann"]),
        log.announced(shard, change),
    ):
        for n in range(40):  # Enough to trim whatever may be trimmed.
            add(here, f"fact {n}")
        assert "tea" in texts(there)
        shard.delete([memory.id])

    assert texts(there) == {f"fact {n}" for n in range(40)}


def test_a_write_of_unknown_outcome_leaves_no_gap(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = processes.start(), processes.start()
    add(here, "tea")
    assert texts(there) == {"tea"}
    write = Collection.add

    def cut_off(self: Collection, *arguments: object) -> None:
        write(self, *arguments)  # type: ignore[arg-type]
        raise StoreTimeout

    monkeypatch.setattr(Collection, "add", cut_off)
    with pytest.raises(StoreTimeout):
        add(here, "stored, but never acknowledged")
    monkeypatch.setattr(Collection, "add", write)
    add(here, "coffee")

    assert texts(there) == {"tea", "stored, but never acknowledged", "coffee"}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is asked for, beside ids, by each read by id from now on."""
    noted: list[Any] = []
    get = Collection.get

    def get_and_note(collection: Collection, **asked: Any) -> Records:
        noted.append(asked.get("include", ()))
        return get(collection, **asked)

    monkeypatch.setattr(Collection, "get", get_and_note)
    # To take a lease costs reads, too.
    monkeypatch.setattr(leases, "QUIET", math.inf)
    return noted


def test_that_nothing_has_changed_costs_one_read_of_ids(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, reads: list[Any]
) -> None:
    here, there = processes.start(), processes.start()
    add(here, "fact")
    assert texts(there) == {"fact"}
    reads.clear()
    monkeypatch.setattr(user_cache, "TRUSTED_SECONDS", 0)
    assert texts(there) == {"fact"}
    assert reads == [()]


@pytest.mark.parametrize("processes", ["one host"], indirect=True)
def test_where_one_host_writes_a_look_at_one_user_does_for_others_too(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, reads: list[Any]
) -> None:
    store = processes.start()
    names = (f"user {number}" for number in itertools.count())
    users = list(itertools.islice((one for one in names if shard_of(one) == 0), 3))
    for user in users:
        add(store, "fact", user)
        assert texts(store, user) == {"fact"}
    reads.clear()
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + user_cache.TRUSTED_SECONDS)

    assert [texts(store, user) for user in users] == [{"fact"}] * 3

    assert reads == [()]


def test_what_a_process_has_added_itself_costs_it_one_read_of_ids_if_any(
    processes: Processes, reads: list[Any]
) -> None:
    store = processes.start()
    add(store, "tea")
    assert texts(store) == {"tea"}
    for text in ("coffee", "milk"):
        store.add("acme", [MemoryDraft("ann", text, metadata={"n": [1.5]})], vector(7)[None])
    reads.clear()

    found = nearest(store)

    assert reads == ([] if processes.share_counts else [()])
    assert found == nearest(processes.start())


def test_what_was_written_for_a_process_costs_it_one_read_of_ids(
    processes: Processes, reads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.memories.INQUIRY_PATIENCE", 10.0)
    here, there = processes.start(), processes.start()
    add(here, "tea")
    assert texts(there) == {"tea"}
    for n in range(3):
        add((here, there)[n % 2], f"fact {n}")
    reads.clear()

    assert texts(there) == {"tea", *(f"fact {n}" for n in range(3))}

    assert (reads == [()]) == processes.has_company


@pytest.mark.parametrize("change", ["revise", "delete"])
def test_a_memory_changed_by_another_process_since_it_was_added_is_as_it_is_now(
    processes: Processes, change: str
) -> None:
    writer, other = processes.start(), processes.start()
    add(writer, "tea")
    assert texts(other) == texts(writer) == {"tea"}
    memory = add(writer, "coffee")

    if change == "revise":
        other.revise("acme", memory, replace(memory, text="milk", version=2), vector(99))
    else:
        other.delete("acme", memory.id)
    add(writer, "salt")

    expected = {"tea", "salt", "milk"} if change == "revise" else {"tea", "salt"}
    assert texts(writer) == texts(other) == expected
    assert texts(writer) == texts(other) == expected


def test_what_is_written_but_not_acknowledged_yet_is_seen_by_whoever_looks(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have seen it before."""
    store = processes.start()
    add(store, "tea")
    assert texts(store) == {"tea"}
    add(store, "coffee")
    monkeypatch.setattr(store._recent, "note", lambda *_: None)
    add(store, "milk")

    assert texts(store) == {"tea", "coffee", "milk"}


def test_a_memory_changed_twice_between_two_looks_is_watched_no_longer(
    processes: Processes, reads: list[Any]
) -> None:
    reader, writer = processes.start(), processes.start()
    memory = add(writer, "tea")
    assert texts(reader) == {"tea"}
    for version, text in ((2, "milk"), (3, "cocoa")):
        changed = replace(memory, text=text, version=version, updated_at=clock())
        assert writer.revise("acme", memory, changed, vector(version))
        memory = changed
    assert texts(reader) == {"cocoa"}
    assert texts(reader) == {"cocoa"}
    reads.clear()

    assert texts(reader) == {"cocoa"}

    assert reads in ([()], [])


def test_a_memory_added_again_between_two_looks_is_watched_no_longer(
    processes: Processes, reads: list[Any]
) -> None:
    reader, writer = processes.start(), processes.start()
    add(reader, "milk")
    memory = add(writer, "tea")
    assert texts(reader) == {"tea", "milk"}
    writer.delete("acme", memory.id)
    assert add(reader, "tea").id == memory.id
    for _ in range(2):
        assert texts(reader) == {"tea", "milk"}
    reads.clear()

    assert texts(reader) == {"tea", "milk"}

    assert reads in ([()], [])


def test_a_memory_added_again_before_its_deletion_is_announced_is_deleted_for_all(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, slow, third = (processes.start() for _ in range(3))
    memory = add(third, "tea")
    add(third, "coffee")
    assert texts(reader) == {"tea", "coffee"}
    announced, delete = change_log.ChangeLog.announced, Collection.delete

    def look_and_delete(collection: Collection, ids: Any, **wanted: Any) -> None:
        texts(reader)
        delete(collection, ids, **wanted)

    monkeypatch.setattr(Collection, "delete", look_and_delete)

    def announce_late(log: Any, *arguments: Any, **wanted: Any) -> Any:
        monkeypatch.setattr(change_log.ChangeLog, "announced", announced)
        third.delete("acme", memory.id)
        assert add(third, "tea").id == memory.id
        return announced(log, *arguments, **wanted)

    monkeypatch.setattr(change_log.ChangeLog, "announced", announce_late)

    assert slow.delete("acme", memory.id)

    assert [texts(store) for store in (reader, slow, third)] == [{"coffee"}] * 3


def test_a_change_that_lost_to_another_may_still_come(processes: Processes) -> None:
    reader, writer = processes.start(), processes.start()
    memory = add(writer, "tea")
    assert texts(reader) == {"tea"}
    shard = writer._shelves.find_shard_of_user("acme", "ann")
    assert shard is not None
    log = writer._shard("acme", shard_of("ann")).log
    late = change_log.Awaited("late", stamp(memory.created_at), 2)
    with log.announced(shard, change_log.Change("ann", (memory.id,), late)):
        pass
    changed = replace(memory, text="milk", version=2, updated_at=clock())
    assert writer.revise("acme", memory, changed, vector(1))
    assert texts(reader) == {"milk"}
    user = reader._caches[shard.name]._users["ann"]

    assert user.awaited == {memory.id: {late}}


def test_a_memory_whose_second_deletion_comes_late_is_no_ghost(processes: Processes) -> None:
    store, slow, third = (processes.start() for _ in range(3))
    memory = add(store, "tea")
    add(store, "coffee")
    assert texts(store) == {"tea", "coffee"}
    shard = store._shelves.find_shard_of_user("acme", "ann")
    assert shard is not None
    deleting = slow._shard("acme", shard_of("ann"))
    gone = change_log.Awaited(change_log.GONE, stamp(memory.created_at), 0)
    change = change_log.Change("ann", (memory.id,), awaited=gone)

    with deleting._changing(["ann"]), deleting.log.announced(shard, change):
        third.delete("acme", memory.id)
        assert [texts(store) for _ in range(3)] == [{"coffee"}] * 3
        assert add(store, "tea").id == memory.id
        shard.delete([memory.id])

    assert texts(store) == {"coffee"}


def test_a_deletion_that_comes_late_spares_what_was_added_since_another(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, slow, third = (processes.start() for _ in range(3))
    memory = add(store, "tea")
    add(store, "coffee")
    assert texts(store) == {"tea", "coffee"}
    delete = Collection.delete

    def delete_late(collection: Collection, ids: Any, **wanted: Any) -> None:
        if memory.id in ids:
            monkeypatch.setattr(Collection, "delete", delete)
            third.delete("acme", memory.id)
            assert texts(store) == {"coffee"}
            anew = add(store, "tea")
            assert anew.id == memory.id
            changed = replace(anew, text="green tea", version=2)
            assert store.revise("acme", anew, changed, vector(1))
            assert texts(store) == {"green tea", "coffee"}
        delete(collection, ids, **wanted)

    monkeypatch.setattr(Collection, "delete", delete_late)

    assert slow.delete("acme", memory.id)
    spared = third.get("acme", memory.id)
    assert spared is not None
    assert [old.text for old in third.versions("acme", spared)] == ["tea"]
    assert texts(store) == {"green tea", "coffee"}


def test_a_reader_learns_of_writers_that_came_and_went_while_it_did_not_look(
    processes: Processes,
) -> None:
    reader = processes.start()
    add(reader, "fact")
    assert texts(reader) == {"fact"}
    assert texts(reader) == {"fact"}
    expected = {"fact"}
    for number in range(roster.KEPT + 2):
        expected.add(f"fact {number}")
        add(processes.start(), f"fact {number}")
    assert texts(reader) == expected


def test_more_writers_than_slots_are_slower_but_never_wrong(processes: Processes) -> None:
    reader = processes.start()
    writers = [processes.start() for _ in range(change_log.SLOTS + 4)]
    expected = set()
    for n in range(2):
        for number, writer in enumerate(writers):
            expected.add(f"fact {n} of {number}")
            add(writer, f"fact {n} of {number}")
            if number % 5 == 0:
                assert texts(reader) == expected
    assert texts(reader) == expected


def test_a_reader_far_behind_reads_anew(processes: Processes) -> None:
    here, there = processes.start(), processes.start()
    add(here, "fact 0")
    assert texts(there) == {"fact 0"}

    for n in range(1, change_log.KEPT + change_log.TRIMMED + 10):
        add(here, f"fact {n}")

    assert len(texts(there)) == change_log.KEPT + change_log.TRIMMED + 10


def test_a_reader_far_behind_reads_only_what_has_changed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = processes.start(), processes.start()
    memories = [add(here, f"fact {n}") for n in range(5)]
    expected = {memory.text for memory in memories}
    assert texts(there) == expected

    changed = replace(memories[0], text="another fact", version=2)
    assert here.revise("acme", memories[0], changed, vector(7))
    here.delete("acme", memories[1].id)
    added = {f"new fact {n}" for n in range(change_log.KEPT + change_log.TRIMMED + 5)}
    for text in added:
        add(here, text)
    expected = expected - {memories[0].text, memories[1].text} | {"another fact"} | added

    whole: list[str] = []
    get = Collection.get

    def noted(collection: Collection, **asked: Any) -> Records:
        found = get(collection, **asked)
        if "embeddings" in asked.get("include", ()):
            whole.extend(found.ids)
        return found

    monkeypatch.setattr(Collection, "get", noted)
    assert texts(there) == expected
    assert len(whole) == len(added) + 1
    view = there.view("acme", ANN)
    (nearest,) = view.nearest(vector(7), 1, None)
    assert (nearest.memory.text, round(nearest.cosine, 5)) == ("another fact", 1.0)


def test_a_reader_that_saw_no_change_of_a_writer_learns_that_its_log_was_trimmed(
    processes: Processes,
) -> None:
    here, there, reader = processes.start(), processes.start(), processes.start()
    add(here, "tea")
    assert texts(reader) == {"tea"}

    for n in range(change_log.KEPT + change_log.TRIMMED + 2):
        add(there, f"fact {n}")

    assert len(texts(reader)) == change_log.KEPT + change_log.TRIMMED + 3


@pytest.mark.parametrize("error", [StoreTimeout, StoreBroken])
def test_a_read_that_fails_is_made_again(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, error: type[StoreTimeout | StoreBroken]
) -> None:
    here, there = processes.start(alone=True), processes.start()
    add(here, "tea")
    assert texts(there) == {"tea"}
    add(here, "coffee")
    get = Collection.get
    failed: list[dict[str, Any]] = []

    def failing(self: Collection, **wanted: Any) -> Records:
        if "embeddings" in wanted.get("include", ()) and not failed:
            failed.append(wanted)
            raise error
        return get(self, **wanted)

    monkeypatch.setattr(Collection, "get", failing)
    with suppress(error):
        assert texts(there) == {"tea", "coffee"}

    assert failed
    assert texts(there) == {"tea", "coffee"}


@pytest.mark.parametrize("gone", ["forgotten", "unreadable"])
def test_of_whom_nothing_is_kept_any_more_nothing_is_accounted_for(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    here, there = processes.start(), processes.start()
    add(here, "tea")
    assert texts(there) == {"tea"}
    assert there._cache._used > 0

    if gone == "forgotten":
        here.forget("acme", "ann", dry_run=False)
        assert texts(there) == set()
    else:
        add(here, "coffee")
        get = Collection.get

        def failing(self: Collection, **wanted: Any) -> Records:
            if "where" not in wanted:
                raise StoreTimeout
            return get(self, **wanted)

        monkeypatch.setattr(Collection, "get", failing)
        monkeypatch.setattr(there, "_inquire", lambda asked: [None] * len(asked))
        for cache in there._caches.values():
            monkeypatch.setattr(cache, "_inquire", there._inquire)
        with pytest.raises(StoreTimeout):
            texts(there)

    assert there._cache._used == 0


def test_a_trim_that_fails_spoils_no_write(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = processes.start(), processes.start()
    bob = next(name for name in map(str, range(99)) if shard_of(name) == shard_of("ann"))
    add(here, "tea", user=bob)
    assert texts(there, bob) == {"tea"}
    for n in range(change_log.KEPT + change_log.TRIMMED - 1):
        add(here, f"fact {n}")
    delete = Collection.delete

    def failing(_self: Collection, _ids: object, **_wanted: Any) -> None:
        raise StoreTimeout

    monkeypatch.setattr(Collection, "delete", failing)
    drafts = [MemoryDraft("ann", "last"), MemoryDraft(bob, "coffee")]
    assert all(
        stored.is_new for stored in here.add("acme", drafts, np.stack([vector(1), vector(2)]))
    )
    monkeypatch.setattr(Collection, "delete", delete)
    add(here, "water", user=bob)

    assert texts(there, bob) == {"tea", "coffee", "water"}


def test_a_sweep_removes_only_the_changes_of_writers_that_are_gone(processes: Processes) -> None:
    here, there = processes.start(alone=True), processes.start()
    add(here, "tea")
    add(there, "coffee")
    assert texts(there) == {"tea", "coffee"}
    shard = here._shelves.find_shard_of_user("acme", "ann")
    assert shard is not None
    before = set(shard.get(where={"kind": "change"}).ids)

    here.sweep(clock())

    assert set(shard.get(where={"kind": "change"}).ids) == before
    slots = change_log.read_slots(shard)
    shard.delete([min(slots)])
    here.sweep(clock())
    assert len(shard.get(where={"kind": "change"}).ids) == 1


def test_the_cache_keeps_to_its_budget_and_drops_who_was_not_asked_for(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_budget, "ACTIVE_SECONDS", 0)
    size = MEMORY_OVERHEAD
    store = processes.start(capacity=20 * size)
    for user in ("a", "b", "c", "d", "e", "f", "g"):
        for n in range(4):
            add(store, f"fact {n}", user=user)
    for user in ("a", "b", "c", "d"):
        assert is_kept(store, user)

    assert is_kept(store, "a")
    assert is_kept(store, "e")

    cached = {user for cache in store._caches.values() for user in cache._users}
    assert "a" in cached
    assert "b" not in cached
    assert store._cache._used <= 20 * size


def test_who_is_active_is_not_dropped_for_others(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = processes.start(capacity=20 * MEMORY_OVERHEAD)
    users = ("a", "b", "c", "d", "e")
    for user in users:
        for n in range(4):
            add(store, f"fact {n}", user=user)
    kept = [user for user in users if is_kept(store, user)]
    assert 2 <= len(kept) < len(users)
    for _ in range(3):
        assert [user for user in users if is_kept(store, user)] == kept

    monkeypatch.setattr(cache_budget, "ACTIVE_SECONDS", 0)
    left_out = next(user for user in users if user not in kept)
    for _ in range(cache_budget._NO_ROOM_FOR + 2):
        texts(store, left_out)
    assert is_kept(store, left_out)


def test_a_user_too_large_for_the_budget_is_read_from_chroma(processes: Processes) -> None:
    store = processes.start(capacity=MEMORY_OVERHEAD * 8)
    for n in range(3):
        add(store, f"fact {n}")

    assert not is_kept(store)
    assert len(texts(store)) == 3


def test_the_first_part_of_a_user_tells_that_there_is_no_room(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, reads: list[Any]
) -> None:
    monkeypatch.setattr(user_reading, "_READ_TOGETHER", 2)
    store = processes.start(capacity=LARGEST_SHARE * 6 * (MEMORY_OVERHEAD + 10))
    for n in range(6):
        add(store, f"fact {n}")

    assert not is_kept(store)

    assert reads.count(user_snapshot.WHOLE) == 1


@pytest.mark.parametrize("seed", range(3))
def test_whatever_processes_do_in_turn_all_see_the_same(processes: Processes, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    stores = [processes.start() for _ in range(3)]
    truth: dict[str, dict[str, Memory]] = {"ann": {}, "bob": {}}
    gone: dict[str, str] = {}
    for step in range(60):
        store = dice.choice(stores)
        user = dice.choice(["ann", "bob"])
        mine = truth[user]
        action = dice.choice(["add", "add", "add", "revise", "delete", "forget", "restart", "look"])
        if action == "add":
            memory = add(store, f"fact {dice.randrange(20)}", user=user)
            mine[memory.id] = memory
        elif action == "revise" and mine:
            old = dice.choice(list(mine.values()))
            new = replace(old, text=f"changed {step}", version=old.version + 1)
            assert store.revise("acme", old, new, vector(step))
            mine[new.id] = new
        elif action == "delete" and mine:
            gone[user] = dice.choice(list(mine))
            del mine[gone[user]]
            assert store.delete("acme", gone[user])
        elif action == "forget" and dice.random() < 0.3:
            assert store.forget("acme", user, dry_run=False).memories == len(mine)
            mine.clear()
        elif action == "restart":
            stores[dice.randrange(3)] = processes.start()
        for reader in dice.sample(stores, 2):
            for whose, memories in truth.items():
                seen = reader.view("acme", MemoryScope(whose)).scan(None)
                assert {m.id: (m.text, m.version) for m in seen} == {
                    one: (m.text, m.version) for one, m in memories.items()
                }
                assert all(reader.get("acme", m.id) == m for m in seen[-2:])
                if whose in gone and gone[whose] not in memories:
                    assert reader.get("acme", gone[whose]) is None


def test_writers_and_readers_at_once_lose_nothing_and_see_no_ghost(processes: Processes) -> None:
    stores = [processes.start() for _ in range(3)]

    def work(number: int) -> list[str]:
        store, faults = stores[number % 3], []
        for n in range(12):
            memory = add(store, f"{number} says {n}")
            others = [s for s in stores if s is not store]
            if any(memory.text not in texts(other) for other in others):
                faults.append(f"lost {memory.text}")
            if n % 3 == 0:
                store.delete("acme", memory.id)
                if any(memory.text in texts(other) for other in others):
                    faults.append(f"ghost {memory.text}")
        return faults

    with ThreadPoolExecutor(6) as threads:
        assert [fault for faults in threads.map(work, range(6)) for fault in faults] == []

    expected = {f"{number} says {n}" for number in range(6) for n in range(12) if n % 3}
    assert all(texts(store) == expected for store in stores)
