"""Keep Chroma in a folder of this machine, inside this process."""

from pathlib import Path

from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT

from memapp.backends.embedded_engine import claim_engine
from memapp.backends.folder_lock import FolderLock
from memapp.backends.isolation import IsolatedSettings
from memapp.chroma_config import ChromaConfig


def connect(config: ChromaConfig) -> ClientAPI:
    """Open the store in `config.path`, alone.

    Raises:
        StoreUnavailable: the folder cannot be used, or another client holds it.
    """
    folder = Path(config.path).absolute()
    lock = FolderLock(folder)
    try:
        claim_engine()
        return FolderChroma(folder, lock)
    except BaseException:
        # A half-built system would stay in Chroma's registry and answer the next attempt.
        SharedSystemClient._identifier_to_system.pop(str(folder), None)  # noqa: SLF001
        SharedSystemClient._identifier_to_refcount.pop(str(folder), None)  # noqa: SLF001
        lock.release()
        raise


class FolderChroma(Client):
    """Chroma's embedded client, which holds its folder's lock until it is closed."""

    def __init__(self, folder: Path, lock: FolderLock) -> None:
        self._lock = lock
        super().__init__(
            tenant=DEFAULT_TENANT,
            database=DEFAULT_DATABASE,
            settings=IsolatedSettings(is_persistent=True, persist_directory=str(folder)),
        )

    def close(self) -> None:
        """Close the store and let others use the folder."""
        if self._closed:
            return
        super().close()
        self._lock.release()
