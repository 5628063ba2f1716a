"""What all writers count in shared memory tells a reader whether anything has changed."""

import multiprocessing
import subprocess
import sys
import uuid
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from memapp.chroma import write_marks
from memapp.chroma.write_marks import WriteMarks
from memapp.errors import ConfigurationError

ANN, BOB = ("shard", "ann"), ("shard", "bob")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(write_marks, "_shared_folder", lambda: tmp_path)
    return str(uuid.uuid4())


def settled(marks: WriteMarks, key: write_marks.Key) -> int | None:
    """Return how many writes have ended; None if one is under way."""
    ended = marks.ended(key)
    return None if marks.has_begun_since(key, ended) else ended


def test_a_write_is_unsettled_until_it_has_ended(store: str) -> None:
    here, there = WriteMarks.of_host(store), WriteMarks.of_host(store)
    before = settled(there, ANN)
    assert before is not None
    with here.changing("shard", ["ann"]):
        assert there.has_begun_since(ANN, before)
        assert settled(there, ANN) is None
    after = settled(there, ANN)
    assert after is not None
    assert there.has_begun_since(ANN, before)
    assert not there.has_begun_since(ANN, after)


def test_a_write_says_nothing_of_another_user(store: str) -> None:
    marks = WriteMarks.of_host(store)
    before = settled(marks, BOB)
    assert before is not None
    with marks.changing("shard", ["ann"]):
        assert not marks.has_begun_since(BOB, before)


def test_a_write_that_failed_is_unsettled_until_it_can_no_longer_arrive(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = WriteMarks.of_host(store)
    for _ in range(2):
        with pytest.raises(ValueError, match="lost"), marks.changing("shard", ["ann"]):
            raise ValueError("lost")
    with marks.changing("shard", ["bob"]):
        pass
    assert settled(marks, ANN) is None
    monkeypatch.setattr("memapp.chroma.write_marks.time.monotonic", lambda: 1e9)
    for _ in range(3):
        with marks.changing("shard", ["bob"]):
            pass
    assert settled(marks, ANN) is not None


def count(folder: Path, store: str, times: int, together: Barrier) -> None:
    write_marks._shared_folder = lambda: folder
    marks = WriteMarks.of_host(store)
    together.wait()
    for _ in range(times):
        with marks.changing("shard", ["ann", "bob"]):
            pass


def test_processes_that_count_at_once_lose_no_count(store: str, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(4)
    processes = [
        spawn.Process(target=count, args=(tmp_path, store, 2_000, together)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    marks = WriteMarks.of_host(store)
    assert (settled(marks, ANN), settled(marks, BOB)) == (8_000, 8_000)


def test_the_apps_of_one_process_share_their_counts() -> None:
    name = str(uuid.uuid4())
    assert WriteMarks.of_process(name) is WriteMarks.of_process(name)
    assert WriteMarks.of_process(name) is not WriteMarks.of_process(name + "2")


FAMILY = """
import os
from memapp.chroma import write_marks

assert write_marks.WriteMarks.of_family() is None
write_marks.share_with_forks()
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        marks = write_marks.WriteMarks.of_family()
        assert marks is write_marks.WriteMarks.of_family()
        for _ in range(2_000):
            with marks.changing("shard", ["ann", "bob"]):
                pass
        os._exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
print(write_marks.WriteMarks.of_family().ended(("shard", "ann")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="shares memory with forks on Linux alone")
def test_a_process_and_its_forks_share_their_counts_and_lose_none() -> None:
    command = [sys.executable, "-c", FAMILY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("8000", "")


@pytest.mark.skipif(sys.platform != "linux", reason="shares memory with forks on Linux alone")
def test_where_no_memory_may_be_shared_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise PermissionError(name)

    monkeypatch.setattr(write_marks, "_of_family", None)
    monkeypatch.setattr("os.memfd_create", refuse)
    write_marks.share_with_forks()
    assert WriteMarks.of_family() is None


def test_the_apps_of_a_process_share_their_lock(store: str) -> None:
    assert WriteMarks.of_host(store) is WriteMarks.of_host(store)


def test_a_file_that_is_not_ours_is_refused(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    WriteMarks.of_host(store)
    monkeypatch.setattr(write_marks, "_own", {})
    (made,) = tmp_path.iterdir()
    assert made.stat().st_mode & 0o777 == 0o600
    made.unlink()
    made.symlink_to("/etc/hostname")
    with pytest.raises(ConfigurationError, match="ONE_HOST"):
        WriteMarks.of_host(store)
