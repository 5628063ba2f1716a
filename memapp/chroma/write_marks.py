"""Count the writes to each user's memories in memory that all their writers share.

Where one host does all the writing, or others keep to a lease (see `leases`), a reader need not ask
Chroma whether anything has changed: a writer counts its write as begun before its first request
that changes anything, and as ended before it is acknowledged. A reader that knows the changes
behind each count of an ended write knows all that was acknowledged (see `recent_changes`).

It must also know whatever anybody was shown before. A write that is under way can be seen in Chroma
before it ends, so whoever has read a user there meanwhile notes how many had begun by then, as
shown. Whoever ends the last one under way notes that all are quiet. If no more were shown than are
quiet, nobody has seen any of those under way. That a memory is gone does not say whose it was, so
who removes some notes it as shown from the beginning.

A writer that is killed half-way leaves a count that never agrees again; as soon as somebody has
read its user in Chroma, all read it as if there were no counts. That, a hash that two users share,
and a machine that starts anew cost speed alone.
"""

import fcntl
import mmap
import os
import stat
import sys
import tempfile
import time
import zlib
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock

from memapp.errors import ConfigurationError

_CELLS = 2**16
_BYTES = 8
_BEGUN, _ENDED, _SHOWN, _QUIET = (number * _CELLS for number in range(4))
_SIZE = 4 * _CELLS * _BYTES

_MAY_ARRIVE_WITHIN = 120.0
"""Seconds for which a request that failed may still be on its way."""

Key = tuple[str, str]
"""A shard's name and a user."""


class WriteMarks:
    """Counts of begun and ended writes; safe for many threads, and processes that share a file.

    To be made anew in a forked child: its lock may be held by a thread that the child has not.
    """

    def __init__(self, shared: mmap.mmap, file: int | None = None) -> None:
        """Count in `shared`, of `_SIZE` zeros or earlier counts.

        Args:
            shared: The memory.
            file: What it maps, to be locked between processes; None if it is of this process.
        """
        self._counts = memoryview(shared).cast("Q")
        self._file = file
        self._lock = Lock()
        self._failed: deque[tuple[float, set[int]]] = deque()

    @classmethod
    def of_process(cls, store: str) -> "WriteMarks":
        """Return the counts of this process's writes to a store that no other can write to."""
        key = (os.getpid(), store)
        # `setdefault` of a dict is atomic, so that all apps of a process get the same counts.
        return _own.get(key) or _own.setdefault(
            key, cls(mmap.mmap(-1, _SIZE, flags=mmap.MAP_PRIVATE))
        )

    @classmethod
    def of_host(cls, store: str) -> "WriteMarks":
        """Count the writes of all processes of this host and user.

        Args:
            store: Names the Chroma store; the same in all of them.

        Raises:
            ConfigurationError: the file they share cannot be opened.
        """
        path = _shared_folder() / f"memapp-{os.geteuid()}-{sha256(store.encode()).hexdigest()[:16]}"
        key = (os.getpid(), str(path))
        # The lock of a file keeps processes apart, not the apps of one.
        return _own.get(key) or _own.setdefault(key, cls._of_file(path))

    @classmethod
    def _of_file(cls, path: Path) -> "WriteMarks":
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with ExitStack() as opened:
            try:
                file = os.open(path, flags, 0o600)
                opened.callback(os.close, file)
                found = os.fstat(file)
                if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
                    fault = f"ONE_HOST: {path} is not a file of this user; remove it"
                    raise ConfigurationError(fault)
                if found.st_size < _SIZE:
                    os.ftruncate(file, _SIZE)
                marks = cls(mmap.mmap(file, _SIZE), file)
            except OSError as error:
                fault = f"ONE_HOST: {path} cannot be shared between processes: {error.strerror}"
                raise ConfigurationError(fault) from error
            opened.pop_all()
        return marks

    @classmethod
    def of_family(cls) -> "WriteMarks | None":
        """Count the writes of all processes forked since `share_with_forks`; None without it."""
        if _of_family is None:
            return None
        key = (os.getpid(), f"family {_of_family}")
        return _own.get(key) or _own.setdefault(key, cls(mmap.mmap(_of_family, _SIZE), _of_family))

    @contextmanager
    def changing(
        self, shard: str, users: Collection[str], *, removes: bool = False
    ) -> Iterator[dict[str, int]]:
        """Count a write to some users' memories, made in the `with` block.

        If it fails, it may reach Chroma later; until then it does not count as ended.

        Args:
            shard: The shard's name.
            users: Whose memories.
            removes: Whether memories may be gone before it has ended.

        Yields:
            By user, the place of this write in the order in which writes end, from 1; filled after
            the block.
        """
        cells = {user: _cell((shard, user)) for user in users}
        changed = set(cells.values())
        self._begin(changed, are_shown=removes)
        ends: dict[str, int] = {}
        try:
            yield ends
        except BaseException:
            self._failed.append((time.monotonic() + _MAY_ARRIVE_WITHIN, changed))
            self._show(changed)
            raise
        ended = self._end(changed)
        ends |= {user: ended[cell] for user, cell in cells.items()}

    def ended(self, key: Key) -> int:
        """Return the number of writes that have ended."""
        return self._counts[_ENDED + _cell(key)]

    def ended_if_all(self, key: Key) -> int | None:
        """Return the number of writes that have ended; None if anybody may have seen others."""
        cell = _cell(key)
        # In this order: what had been shown has ended by the time that the last is read.
        if self._counts[_SHOWN + cell] > self._counts[_QUIET + cell]:
            return None
        return self._counts[_ENDED + cell]

    def note_shown(self, key: Key) -> None:
        """Note that a user was just read in Chroma; to be called before that is shown."""
        cell = _cell(key)
        if self._counts[_BEGUN + cell] != self._counts[_ENDED + cell]:
            self._show({cell})

    def _begin(self, cells: Collection[int], *, are_shown: bool) -> None:
        with self._locked():
            for cell in cells:
                self._counts[_BEGUN + cell] += 1
                if are_shown:
                    self._counts[_SHOWN + cell] = self._counts[_BEGUN + cell]
            while self._failed and self._failed[0][0] < time.monotonic():
                self._count_ends(self._failed.popleft()[1])

    def _end(self, cells: Collection[int]) -> dict[int, int]:
        with self._locked():
            return self._count_ends(cells)

    def _count_ends(self, cells: Collection[int]) -> dict[int, int]:
        """Count a write as ended for each of these; return how many have then."""
        for cell in cells:
            self._counts[_ENDED + cell] += 1
            if self._counts[_ENDED + cell] == self._counts[_BEGUN + cell]:
                self._counts[_QUIET + cell] = self._counts[_BEGUN + cell]
        return {cell: self._counts[_ENDED + cell] for cell in cells}

    def _show(self, cells: Collection[int]) -> None:
        with self._locked():
            for cell in cells:
                self._counts[_SHOWN + cell] = self._counts[_BEGUN + cell]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other threads, and other processes, from counting."""
        with self._lock:
            if self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if self._file is not None:
                    fcntl.lockf(self._file, fcntl.LOCK_UN)


_own: dict[tuple[int, str], WriteMarks] = {}
_of_family: int | None = None


def share_with_forks() -> None:
    """Make the memory in which this process and those forked from it count; Linux alone."""
    global _of_family  # noqa: PLW0603 - of the process, like what it forks
    if sys.platform != "linux":
        return
    try:
        _of_family = os.memfd_create("memapp-writes")
        os.ftruncate(_of_family, _SIZE)
    except OSError:
        _of_family = None  # A sandbox that allows none: then every search asks Chroma.


def _cell(key: Key) -> int:
    return zlib.crc32("\0".join(key).encode()) % _CELLS


def _shared_folder() -> Path:
    in_memory = Path("/dev/shm")  # noqa: S108 - each user has a file of their own in it
    return in_memory if os.access(in_memory, os.W_OK) else Path(tempfile.gettempdir())
