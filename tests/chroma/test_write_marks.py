"""What all writers count in shared memory tells a reader whether anything has changed."""

import multiprocessing
import os
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


def test_a_write_that_nobody_has_seen_counts_once_it_has_ended(store: str) -> None:
    here, there = WriteMarks.of_host(store), WriteMarks.of_host(store)
    there.note_shown(ANN)
    before = there.ended(ANN)
    with here.changing("shard", ["ann"]) as ends:
        assert there.ended_if_all(ANN) == there.ended(ANN) == before
    assert there.ended_if_all(ANN) == there.ended(ANN) == before + 1
    assert ends == {"ann": before + 1}


def test_what_was_shown_is_not_all_until_nothing_is_under_way(store: str) -> None:
    here, there = WriteMarks.of_host(store), WriteMarks.of_host(store)
    with here.changing("shard", ["ann"]):
        there.note_shown(ANN)
        assert here.ended_if_all(ANN) is None
        with there.changing("shard", ["ann"]):
            pass
        assert here.ended_if_all(ANN) is None
    assert here.ended_if_all(ANN) == here.ended(ANN)
    with here.changing("shard", ["ann"]):
        assert here.ended_if_all(ANN) is not None


def test_what_removes_memories_counts_as_shown_from_the_beginning(store: str) -> None:
    marks = WriteMarks.of_host(store)
    with marks.changing("shard", ["ann"], removes=True):
        assert marks.ended_if_all(ANN) is None
    assert marks.ended_if_all(ANN) is not None


def test_a_write_says_nothing_of_another_user(store: str) -> None:
    marks = WriteMarks.of_host(store)
    before = marks.ended_if_all(BOB)
    assert before is not None
    with marks.changing("shard", ["ann"], removes=True):
        assert marks.ended_if_all(BOB) == before
    assert marks.ended_if_all(BOB) == before


def test_a_write_that_failed_may_be_seen_until_it_can_no_longer_arrive(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = WriteMarks.of_host(store)
    for _ in range(2):
        with pytest.raises(ValueError, match="lost"), marks.changing("shard", ["ann"]):
            raise ValueError("lost")
    with marks.changing("shard", ["bob"]):
        pass
    assert marks.ended_if_all(ANN) is None
    monkeypatch.setattr("memapp.chroma.write_marks.time.monotonic", lambda: 1e9)
    with marks.changing("shard", ["ann", "bob"]):
        pass
    assert marks.ended_if_all(ANN) == marks.ended(ANN)


def count(folder: Path, store: str, times: int, together: Barrier) -> None:
    write_marks._shared_folder = lambda: folder
    marks = WriteMarks.of_host(store)
    together.wait()
    for _ in range(times):
        with marks.changing("shard", ["ann", "bob"]):
            marks.note_shown(ANN)


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
    assert [marks.ended(key) for key in (ANN, BOB)] == [8_000, 8_000]
    assert [marks.ended_if_all(key) for key in (ANN, BOB)] == [8_000, 8_000]


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
    made.unlink()
    os.mkfifo(made)
    opened = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ConfigurationError, match="remove it"):
        WriteMarks.of_host(store)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
