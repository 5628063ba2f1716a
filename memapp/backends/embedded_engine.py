"""Give every process an engine of its own to run embedded Chroma with."""

import importlib.machinery
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import chromadb.api.rust as chroma_rust

from memapp.errors import StoreUnavailable

_user = 0
"""The process in which the engine that is loaded now was used; 0 if it was used in none."""


def claim_engine() -> None:
    """Prepare this process to open an embedded Chroma; call it before each opening.

    Chroma's engine does not survive a fork, even if all its clients are closed before: rayon, a
    library in it, keeps its threads for ever, they do not exist in the child, and the child's
    first write waits for them without end (Chroma 1.5.9). So a child of a process that has used
    the engine loads it anew, from a copy, since the system loads the same file only once.

    Raises:
        StoreUnavailable: the engine cannot be loaded anew.
    """
    global _user  # noqa: PLW0603
    if _user not in {0, os.getpid()}:
        try:
            _load_anew()
        except (OSError, ImportError) as error:
            message = (
                f"embedded Chroma cannot be loaded again after a fork ({error}): use Chroma only "
                "after forking, or let TMPDIR name a folder with 60 MB from which code may run"
            )
            raise StoreUnavailable(message) from error
    _user = os.getpid()


def _load_anew() -> None:
    name = "chromadb_rust_bindings.chromadb_rust_bindings"
    original = sys.modules[name].__file__
    if original is None:  # pragma: no cover
        raise ImportError(name)
    with tempfile.TemporaryDirectory(prefix="memapp-") as folder:
        copy = Path(folder) / Path(original).name
        shutil.copyfile(original, copy)
        loader = importlib.machinery.ExtensionFileLoader(name, str(copy))
        spec = importlib.util.spec_from_file_location(name, copy, loader=loader)
        if spec is None:  # pragma: no cover
            raise ImportError(name)
        engine = importlib.util.module_from_spec(spec)
        loader.exec_module(engine)
    vars(chroma_rust)["chromadb_rust_bindings"] = engine
