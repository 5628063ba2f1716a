"""How the collections that memapp makes are set up in Chroma."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from memapp.backends import persistent
from memapp.chroma.connection import Connection
from memapp.chroma.session import SYNC_THRESHOLD
from memapp.chroma_config import ChromaConfig


@pytest.mark.parametrize(("threshold", "most"), [(1_000, 600), (SYNC_THRESHOLD, 200), (100, 200)])
def test_chroma_forgets_what_was_written_as_often_as_it_is_told_to(
    tmp_path: Path, threshold: int, most: int
) -> None:
    config = ChromaConfig(path=str(tmp_path))
    connect = partial(persistent.connect, config)
    connection = Connection(connect, patience=config.patience, sync_threshold=threshold)
    shelf = connection.ensure("shelf", {"kind": "shelf"})
    for start in range(0, 600, 100):
        ids = [f"id-{number}" for number in range(start, start + 100)]
        shelf.add(ids, np.eye(100, dtype=np.float32), [{"n": 1}] * 100, ["text"] * 100)
    connection.close()

    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as database:
        (length,) = database.execute("SELECT count(*) FROM embeddings_queue").fetchone()

    # What the last write wrote, and the one before, may still be there.
    assert most - 200 <= length <= most
