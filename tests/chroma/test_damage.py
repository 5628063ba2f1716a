"""What a damaged index and a full disk do to an embedded Chroma."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from memapp.backends import persistent
from memapp.chroma.cache_budget import Budget
from memapp.chroma.connection import Connection
from memapp.chroma.reembedding import reembed
from memapp.chroma_config import ChromaConfig, Patience
from memapp.embedders.hashing import HashEmbedder
from memapp.errors import StoreBroken
from memapp.records import MemoryDraft, MemoryScope
from tests.chroma.memory_stores import open_memories
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


def test_all_vectors_can_be_made_anew_where_an_index_is_gone(tmp_path: Path) -> None:
    """The repair of docs/production.md, section 9, with memories enough for an index on disk."""
    connect = partial(persistent.connect, ChromaConfig(path=str(tmp_path / "store")))
    connection = Connection(connect, patience=Patience())
    embedder = HashEmbedder()
    store = open_memories(connection, embedder.identity, cache=Budget(0))
    texts = [f"text {number} word{number}" for number in range(300)]
    for text in texts:
        store.add("acme", [MemoryDraft("ann", text)], embedder.embed_documents([text]))
    connection.close()
    (folder,) = [one for one in (tmp_path / "store").iterdir() if one.is_dir()]
    folder.rename(tmp_path / "aside")

    def nearest(text: str) -> str:
        view = store.view("acme", MemoryScope("ann"))
        return view.nearest(embedder.embed_query(text), 1, None)[0].memory.text

    assert nearest(texts[0]) != texts[0]
    list(reembed(connection, embedder, lambda _name, _fields, text: text, rebuilds_all=True))

    assert [nearest(text) for text in texts] == texts
    connection.close()


def test_a_full_disk_is_named_and_overcome(tmp_path: Path) -> None:
    ended = run("-m", "tests.chroma.full_disk_app", str(tmp_path / "store"))
    *failures, last = ended.stdout.splitlines()
    assert last == "missing: 0", ended.stderr
    assert failures
    assert all("disk" in failure for failure in failures)
