"""Numbered places in which the workers of one gunicorn count, so that each can tell what all did.

By itself prometheus_client's multiprocess mode has files for each process id. Those of processes
that have gone must stay, for what they counted, and become ever more as workers are replaced
(https://github.com/prometheus/client_python/issues/275). A place has files too, but a new worker
takes the place of one that has gone and counts on in them; there are never more places than there
were workers at once.

The master makes a private folder and gives out the places. Nothing here knows what is counted.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_KEPT = {"counter": 1 << 17, "histogram": 1 << 18}
_LIVE = {"gauge_livesum": 1 << 12}
"""What prometheus_client's files begin with, and bytes that will do for all that memapp counts.

What is live ends with a worker, the rest is kept. Files are filled at once: where there is no room
that is an error before the worker starts, and not a signal that ends it later (mmap(2), SIGBUS).
"""

_folder: Path | None = None
_place: "Place | None" = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker counts.

    Attributes:
        folder: Of all workers' files.
        number: What those of this worker are told by, from 0.
    """

    folder: Path
    number: int


def share_with_forks(parent: str | None, *, user: int, group: int) -> None:
    """Make the folder in which processes forked from this one count, unless there is one.

    It is new, so that nothing of earlier runs is in it, and goes when this process ends.

    Args:
        parent: Folder in which to make it; None takes the system's for temporary files.
        user: Id of the user that the workers run as.
        group: Id of their group.
    """
    global _folder  # noqa: PLW0603 - of the process, like what it forks
    if _folder is None:
        folder = Path(tempfile.mkdtemp(prefix="memapp-metrics-", dir=parent))
        atexit.register(_remove, folder, os.getpid())
        os.chown(folder, user, group)
        _folder = folder


def take(taken: Collection[int]) -> int | None:
    """Choose the place of the process that is forked next; None if nothing is shared.

    Args:
        taken: Numbers of the places whose workers may still be running.

    Raises:
        OSError: there is no room for its files.
    """
    global _place  # noqa: PLW0603 - inherited by the process that is forked next
    _place = None
    if _folder is None:
        return None
    number = next(number for number in count() if number not in taken)
    for kind, size in _KEPT.items():
        if not (path := _file(_folder, kind, number)).exists():
            _make(path, size)
    for kind, size in _LIVE.items():
        _make(_file(_folder, kind, number), size)
    _place = Place(_folder, number)
    return number


def leave(number: int) -> None:
    """Forget what was under way in a place whose worker has ended; keep what it counted."""
    if _folder is not None:
        for kind in _LIVE:
            _file(_folder, kind, number).unlink(missing_ok=True)


def own() -> Place | None:
    """Return the place of this process; None if it counts for itself alone."""
    return _place


def _file(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}_{number}.db"


def _make(path: Path, size: int) -> None:
    """Make an empty file whole: one that is still growing would fail whoever reads them all."""
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(bytes(size))
    owner = path.parent.stat()
    os.chown(unfinished, owner.st_uid, owner.st_gid)
    unfinished.rename(path)


def _remove(folder: Path, maker: int) -> None:
    # Forked processes inherit what is to be done at the end.
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
