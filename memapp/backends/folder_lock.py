"""One process per folder: two embedded Chromas on one folder silently lose vectors."""

import fcntl
import os
import sys
from pathlib import Path

from memapp.errors import StoreUnavailable

LOCK_NAME = ".memapp.lock"


class FolderLock:
    """Exclusive use of a folder, until `release` or the end of the process, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock, making the folder if need be.

        Raises:
            StoreUnavailable: the folder cannot be used, or another client holds it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreUnavailable(_unusable(folder, error)) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, _ourselves().encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(self._file, 500, 0).decode(errors="replace").strip()
            os.close(self._file)
            message = (
                f"{folder} is in use by {holder or 'another process'}: an embedded Chroma serves "
                "one process; for several, run a Chroma server and set CHROMA_MODE=http"
            )
            raise StoreUnavailable(message) from error
        except OSError as error:
            os.close(self._file)
            raise StoreUnavailable(_unusable(folder, error)) from error

    def release(self) -> None:
        """Let others use the folder."""
        os.close(self._file)


def _ourselves() -> str:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv else sys.executable
    return f"process {os.getpid()} ({command[:200]})"


def _unusable(folder: Path, error: OSError) -> str:
    return (
        f"the folder {folder} cannot be used: {error.strerror}; "
        "point CHROMA_DB_PATH and CHROMA_PERSIST_DIR to folders that memapp may write"
    )
