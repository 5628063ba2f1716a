"""What a damaged index and a full disk do to an embedded Chroma."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from memapp.backends import persistent
from memapp.chroma.connection import Connection
from memapp.chroma_config import ChromaConfig, Patience
from memapp.errors import StoreBroken
from tests.chroma.test_processes import run

PERSISTED = 1100
"""More than the 1,000 records after which Chroma saves the index of a collection."""


def test_a_damaged_index_is_named_and_hurts_only_its_collection(tmp_path: Path) -> None:
    connect = partial(persistent.connect, ChromaConfig(path=str(tmp_path / "store")))
    connection = Connection(connect, patience=Patience())
    connection.ensure("whole", {"kind": "a"})
    damaged = connection.ensure("damaged", {"kind": "a"})
    vectors = np.random.default_rng(1).normal(size=(PERSISTED, 8)).astype(np.float32)
    ids = [str(i) for i in range(PERSISTED)]
    damaged.add(ids, vectors, [{"n": 1}] * PERSISTED, ["text"] * PERSISTED)
    connection.close()
    (index,) = (tmp_path / "store").glob("*/index_metadata.pickle")
    index.write_bytes(b"")
    with pytest.raises(StoreBroken, match="index of a collection is damaged and must be rebuilt"):
        damaged.query(vectors[0], limit=1)
    whole = connection.find("whole")
    assert whole is not None
    assert whole.count() == 0
    connection.close()


def test_a_full_disk_is_named_and_overcome(tmp_path: Path) -> None:
    ended = run("-m", "tests.chroma.full_disk_app", str(tmp_path / "store"))
    *failures, last = ended.stdout.splitlines()
    assert last == "missing: 0", ended.stderr
    assert failures
    assert all("disk" in failure for failure in failures)
