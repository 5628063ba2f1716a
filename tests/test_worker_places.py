"""Places are private, are used again by those who come later, and go with their maker."""

import os
import stat
from pathlib import Path

import pytest

from memapp import worker_places
from memapp.worker_places import Place
from tests.fresh_interpreter import printed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a master's that has just been made."""
    monkeypatch.setattr(worker_places, "_folder", None)
    monkeypatch.setattr(worker_places, "_place", None)
    share(tmp_path)
    (made,) = tmp_path.iterdir()
    return made


def share(parent: Path) -> None:
    worker_places.share_with_forks(str(parent), user=os.geteuid(), group=os.getegid())


def test_a_process_that_shares_nothing_has_no_place() -> None:
    assert worker_places.own() is None
    assert worker_places.take([]) is None
    worker_places.leave(0)
    assert worker_places.own() is None


def test_nobody_else_may_look_into_the_folder(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_folder_and_files_belong_to_whom_the_workers_run_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_places, "_folder", None)
    monkeypatch.setattr(worker_places, "_place", None)

    worker_places.share_with_forks(str(tmp_path), user=4321, group=1234)
    worker_places.take([])

    owners = {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.rglob("*")}
    assert owners == {(4321, 1234)}


def test_sharing_twice_keeps_the_folder(folder: Path) -> None:
    share(folder.parent)
    assert list(folder.parent.iterdir()) == [folder]


def test_the_process_forked_next_has_the_place_that_was_taken_last(folder: Path) -> None:
    worker_places.take([])
    assert worker_places.own() == Place(folder, 0)
    worker_places.take([0])
    assert worker_places.own() == Place(folder, 1)


@pytest.mark.parametrize(("taken", "next_one"), [([], 0), ([0, 1], 2), ([0, 2, 3], 1), ([1], 0)])
def test_the_first_place_that_is_free_is_taken(
    folder: Path, taken: list[int], next_one: int
) -> None:
    assert worker_places.take(taken) == next_one


def test_a_place_keeps_what_was_counted_and_forgets_what_was_under_way(folder: Path) -> None:
    worker_places.take([])
    for path in folder.iterdir():
        path.write_bytes(b"written by a worker")

    worker_places.leave(0)

    assert {path.name for path in folder.iterdir()} == {"counter_0.db", "histogram_0.db"}
    worker_places.take([])
    assert (folder / "counter_0.db").read_bytes() == b"written by a worker"
    assert (folder / "histogram_0.db").read_bytes() == b"written by a worker"


def test_a_place_that_was_never_left_is_taken_over_without_what_was_under_way(
    folder: Path,
) -> None:
    worker_places.take([])
    (folder / "gauge_livesum_0.db").write_bytes(b"written by a worker")

    worker_places.take([])

    assert set((folder / "gauge_livesum_0.db").read_bytes()) == {0}


def test_files_have_their_size_before_anybody_sees_them(folder: Path) -> None:
    worker_places.take([])
    assert all(path.stat().st_size >= 4096 for path in folder.glob("*.db"))
    assert len(list(folder.iterdir())) == 3


def test_the_folder_goes_with_its_maker_and_not_with_its_children(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib; from memapp import worker_places; "
        f"worker_places.share_with_forks({str(tmp_path)!r}, user=os.getuid(), group=os.getgid())\n"
        "child = os.fork()\n"
        "if not child: sys.exit()\n"
        "os.waitpid(child, 0)\n"
        f"print(len(os.listdir({str(tmp_path)!r})))"
    )
    assert printed(script) == "1"
    assert list(tmp_path.iterdir()) == []
