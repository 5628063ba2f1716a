"""What a collection handle promises, over a folder and over a server."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromadb.api import ClientAPI
from chromadb.api.models.Collection import Collection as ChromaCollection

from memapp.backends import http, persistent
from memapp.chroma import collection as rules
from memapp.chroma.collection import Collection
from memapp.chroma.connection import Connection
from memapp.chroma.faults import CollectionGone
from memapp.chroma_config import ChromaConfig, Patience
from memapp.records import Vectors
from tests.chroma.fake_servers import gate
from tests.chroma_server import ChromaServer

CREATION = {"kind": "shelf"}


def eye(count: int) -> Vectors:
    return np.eye(count, 8, dtype=np.float32)


def names(count: int) -> list[str]:
    return [f"id-{i}" for i in range(count)]


@pytest.fixture(params=["persistent", "http"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ClientAPI]:
    if request.param == "persistent":
        return partial(persistent.connect, ChromaConfig(path=str(tmp_path / "store")))
    server = request.getfixturevalue("chroma_server")
    database = request.getfixturevalue("chroma_database")
    return partial(
        http.connect, ChromaConfig(host=server.host, port=server.port, database=database)
    )


@pytest.fixture
def connection(connect: Callable[[], ClientAPI]) -> Iterator[Connection]:
    connection = Connection(connect, patience=Patience(), batch_size=4)
    yield connection
    connection.close()


@pytest.fixture
def shelf(connection: Connection) -> Collection:
    return connection.ensure("shelf", CREATION)


def fill(shelf: Collection, count: int = 3) -> None:
    metadatas = [{"n": i} for i in range(count)]
    shelf.add(names(count), eye(count), metadatas, [f"text {i}" for i in range(count)])


def test_what_was_added_comes_back_whole(shelf: Collection) -> None:
    fill(shelf)
    found = shelf.get(ids=["id-1"], include=["metadatas", "documents", "embeddings"])
    assert found.ids == ["id-1"]
    assert found.metadatas == [{"n": 1}]
    assert found.documents == ["text 1"]
    assert found.vectors is not None
    assert found.vectors.dtype == np.float32
    assert found.vectors.tolist() == eye(3)[1:2].tolist()


def test_parts_that_were_not_asked_for_are_empty(shelf: Collection) -> None:
    fill(shelf)
    found = shelf.get(ids=["id-1"])
    assert (found.metadatas, found.documents, found.vectors, found.distances) == ([], [], None, [])


def test_get_ignores_unknown_and_repeated_ids(shelf: Collection) -> None:
    fill(shelf)
    assert shelf.get(ids=["id-2", "nobody", "id-2"]).ids == ["id-2"]


def test_get_without_ids_returns_all_and_with_none_nothing(shelf: Collection) -> None:
    fill(shelf)
    assert sorted(shelf.get().ids) == names(3)
    assert shelf.get(ids=[]).ids == []


def test_get_reads_more_ids_than_one_request_may_hold(
    shelf: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shelf, 8)
    monkeypatch.setattr(rules, "MAX_IDS", 3)
    found = shelf.get(ids=names(8), include=["metadatas", "documents", "embeddings"])
    assert sorted(found.ids) == names(8)
    assert found.vectors is not None
    assert found.vectors.shape == (8, 8)
    assert [f"id-{metadata['n']}" for metadata in found.metadatas] == found.ids


def test_get_narrows_by_metadata_and_text(shelf: Collection) -> None:
    fill(shelf)
    assert shelf.get(where={"n": {"$gte": 1}}, where_document={"$contains": "2"}).ids == ["id-2"]


def test_query_returns_the_nearest_first_with_distances(shelf: Collection) -> None:
    fill(shelf)
    found = shelf.query(np.array([0, 0.8, 0.6, 0, 0, 0, 0, 0], dtype=np.float32), limit=2)
    assert found.ids == ["id-1", "id-2"]
    assert found.documents == ["text 1", "text 2"]
    assert found.distances == pytest.approx([0.2, 0.4], abs=1e-6)


def test_query_returns_all_where_the_limit_is_beyond_every_number(shelf: Collection) -> None:
    fill(shelf)
    assert len(shelf.query(eye(1)[0], limit=2**40).ids) == 3


def test_query_in_an_empty_collection_finds_nothing(shelf: Collection) -> None:
    assert shelf.query(eye(1)[0], limit=5).ids == []


def test_query_for_no_results_finds_nothing(shelf: Collection) -> None:
    fill(shelf)
    assert shelf.query(eye(1)[0], limit=0).ids == []


def test_query_many_answers_in_the_order_of_the_vectors(shelf: Collection) -> None:
    fill(shelf)
    found = shelf.query_many(eye(3)[::-1], limit=1, include=["embeddings"])
    assert [records.ids for records in found] == [["id-2"], ["id-1"], ["id-0"]]
    assert [records.vectors.tolist() for records in found if records.vectors is not None] == [
        eye(3)[i : i + 1].tolist() for i in (2, 1, 0)
    ]


def test_adding_an_id_again_changes_nothing(shelf: Collection) -> None:
    fill(shelf)
    shelf.add(["id-0"], eye(1), [{"n": 99}], ["another text"])
    assert shelf.get(ids=["id-0"], include=["documents"]).documents == ["text 0"]


def test_upsert_merges_metadata_and_none_removes_a_key(shelf: Collection) -> None:
    shelf.upsert(["1"], eye(1), [{"a": 1, "b": 2}], ["text"])
    shelf.upsert(["1"], eye(1), [{"a": None, "c": 3}], ["new text"])
    found = shelf.get(ids=["1"], include=["metadatas", "documents"])
    assert found.metadatas == [{"b": 2, "c": 3}]
    assert found.documents == ["new text"]


def test_update_changes_parts_and_ignores_unknown_ids(shelf: Collection) -> None:
    fill(shelf)
    shelf.update(["id-0", "nobody"], metadatas=[{"more": "x"}, {"more": "y"}])
    shelf.update(["id-1"], vectors=eye(8)[7:8])
    assert shelf.get(where={"more": {"$in": ["x", "y"]}}).ids == ["id-0"]
    assert shelf.query(eye(8)[7], limit=1, include=["documents"]).documents == ["text 1"]


def test_delete_removes_by_id_and_ignores_unknown_ones(shelf: Collection) -> None:
    fill(shelf)
    shelf.delete(["id-0", "nobody", "id-0"])
    shelf.delete([])
    assert sorted(shelf.get().ids) == ["id-1", "id-2"]


def test_more_records_than_one_write_may_hold_are_all_stored(shelf: Collection) -> None:
    vectors = np.random.default_rng(1).normal(size=(11, 8)).astype(np.float32)
    shelf.upsert(names(11), vectors, [{"n": i} for i in range(11)], names(11))
    assert shelf.count() == 11
    shelf.delete(names(10))
    assert shelf.get(include=["documents"]).documents == ["id-10"]


def test_a_handle_outlives_a_new_client(connection: Connection, shelf: Collection) -> None:
    fill(shelf)
    connection.close()
    assert shelf.count() == 3


def drop_behind(connection: Connection) -> None:
    """Drop the collection as another process would, unknown to the connection's cache."""
    connection.run(lambda session: session.client.delete_collection("shelf"))


def make_behind(connection: Connection, metadata: dict[str, str]) -> None:
    connection.run(
        lambda session: session.client.create_collection(
            "shelf",
            metadata=metadata,
            configuration={"hnsw": {"space": "cosine"}},
            embedding_function=None,
        )
    )


def test_a_handle_finds_the_collection_that_was_made_anew(
    connection: Connection, shelf: Collection
) -> None:
    fill(shelf)
    drop_behind(connection)
    make_behind(connection, CREATION)
    assert shelf.count() == 0


def test_a_handle_refuses_a_collection_made_anew_with_other_metadata(
    connection: Connection, shelf: Collection
) -> None:
    fill(shelf)
    drop_behind(connection)
    make_behind(connection, {"kind": "another embedder's"})
    with pytest.raises(CollectionGone, match="made anew"):
        shelf.count()
    with pytest.raises(CollectionGone, match="made anew"):
        fill(shelf)


READS: dict[str, Callable[[Collection], object]] = {
    "get": lambda shelf: shelf.get(),
    "query": lambda shelf: shelf.query(eye(1)[0], limit=1),
    "count": lambda shelf: shelf.count(),
    "delete": lambda shelf: shelf.delete(["id-0"]),
}


@pytest.mark.parametrize("name", READS)
def test_reading_from_a_dropped_collection_is_told(
    connection: Connection, shelf: Collection, name: str
) -> None:
    fill(shelf)
    drop_behind(connection)
    with pytest.raises(CollectionGone):
        READS[name](shelf)
    assert connection.find("shelf") is None


def test_a_write_makes_a_dropped_collection_anew(connection: Connection, shelf: Collection) -> None:
    fill(shelf)
    drop_behind(connection)
    fill(shelf)
    assert shelf.count() == 3
    found = connection.find("shelf")
    assert found is not None
    assert found.metadata == CREATION


def test_a_write_to_a_found_collection_that_was_dropped_is_told(connection: Connection) -> None:
    connection.ensure("shelf", CREATION)
    found = connection.find("shelf")
    assert found is not None
    drop_behind(connection)
    with pytest.raises(CollectionGone):
        fill(found)


def test_a_large_write_goes_in_requests_that_a_server_takes(
    chroma_port: int, chroma_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_REQUEST_BYTES", 20_000)
    with gate(chroma_port) as relay:
        config = ChromaConfig(host="127.0.0.1", port=relay.port, database=chroma_database)
        connection = Connection(partial(http.connect, config), patience=Patience())
        shelf = connection.ensure("shelf", CREATION)
        relay.requests.clear()
        shelf.add(names(8), eye(8), [{"n": 1}] * 8, ["x" * 1000] * 8)
        sent = [path for _, path in relay.requests if path.endswith("/add")]
        assert len(sent) == 3  # Three, three and two records of at most 6,500 bytes.
        assert shelf.count() == 8
        connection.close()


def test_a_single_record_beyond_the_limit_is_sent_all_the_same(
    shelf: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_REQUEST_BYTES", 100)
    fill(shelf)
    assert shelf.count() == 3


def test_a_record_that_is_being_deleted_takes_the_place_of_no_other(
    shelf: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shelf, 3)
    real = ChromaCollection.query
    asked: list[int] = []

    def query(collection: ChromaCollection, **wanted: Any) -> Any:
        found: Any = real(collection, **wanted)
        asked.append(wanted["n_results"])
        if len(asked) == 1:
            found["metadatas"][0][0] = found["documents"][0][0] = None
        return found

    monkeypatch.setattr(ChromaCollection, "query", query)

    assert sorted(shelf.query(eye(1)[0], limit=3).ids) == names(3)
    assert asked == [3, 3]


def test_a_query_never_shows_half_of_a_record_that_is_being_deleted(
    chroma_server: ChromaServer, chroma_database: str
) -> None:
    config = ChromaConfig(host="127.0.0.1", port=chroma_server.port, database=chroma_database)
    connection = Connection(partial(http.connect, config), patience=Patience())
    shelf = connection.ensure("shelf", CREATION)
    shelf.add(["kept"], eye(1), [{"n": 0}], ["kept"])
    stop = threading.Event()

    def come_and_go() -> None:
        passing = [f"passing {i}" for i in range(20)]
        vectors = np.repeat(eye(1), 20, axis=0)
        while not stop.is_set():
            shelf.upsert(passing, vectors, [{"n": 1}] * 20, ["passing"] * 20)
            shelf.delete(passing)

    writer = threading.Thread(target=come_and_go)
    writer.start()
    try:
        for _ in range(200):
            found = shelf.query(eye(1)[0], limit=10)
            assert set(found.documents) <= {"kept", "passing"}
            assert all("n" in metadata for metadata in found.metadatas)
            assert len(found.ids) == len(found.metadatas) == len(found.distances)
    finally:
        stop.set()
        writer.join()
        connection.close()
