"""What a connection promises, over every backend."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from chromadb.api import ClientAPI
from chromadb.api.client import Client
from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError

from memapp.backends import cloud, ephemeral, http, persistent
from memapp.backends.isolation import IsolatedSettings
from memapp.chroma.connection import Connection
from memapp.chroma.faults import CollectionGone
from memapp.chroma_config import ChromaConfig, Patience
from memapp.errors import Conflict, StoreBroken, StoreUnavailable
from memapp.records import Vectors
from tests.chroma_server import ChromaServer

PATIENCE = Patience()


def unit_vectors(count: int, dimensions: int = 8) -> Vectors:
    raw = np.random.default_rng(7).normal(size=(count, dimensions))
    vectors: Vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    return vectors


@pytest.fixture(params=["ephemeral", "persistent", "http"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ClientAPI]:
    if request.param == "ephemeral":
        return partial(ephemeral.connect, ChromaConfig())
    if request.param == "persistent":
        return partial(persistent.connect, ChromaConfig(path=str(tmp_path / "store")))
    server = request.getfixturevalue("chroma_server")
    database = request.getfixturevalue("chroma_database")
    config = ChromaConfig(host=server.host, port=server.port, database=database)
    return partial(http.connect, config)


@pytest.fixture
def connection(connect: Callable[[], ClientAPI]) -> Iterator[Connection]:
    connection = Connection(connect, patience=PATIENCE)
    yield connection
    connection.close()


def test_a_new_connection_opens_nothing() -> None:
    def connect() -> ClientAPI:
        raise AssertionError

    Connection(connect, patience=PATIENCE).close()


def test_a_client_is_opened_once(connect: Callable[[], ClientAPI]) -> None:
    opened: list[ClientAPI] = []

    def counted() -> ClientAPI:
        opened.append(connect())
        return opened[-1]

    connection = Connection(counted, patience=PATIENCE)
    connection.names()
    connection.names()
    connection.close()
    assert len(opened) == 1


def test_a_closed_connection_opens_anew(connection: Connection) -> None:
    connection.names()
    connection.close()
    assert connection.names() == []


def test_a_collection_keeps_the_metadata_it_was_made_with(connection: Connection) -> None:
    connection.ensure("shelf", {"kind": "first"})
    again = connection.ensure("shelf", {"kind": "second", "more": 1})
    assert again.metadata == {"kind": "first"}


@pytest.mark.parametrize("connect", ["persistent", "http"], indirect=True)
def test_what_another_generation_made_is_found_with_its_metadata(connection: Connection) -> None:
    connection.ensure("shelf", {"text": "a", "whole": 3, "part": 0.5, "truth": True})
    connection.close()
    found = connection.find("shelf")
    assert found is not None
    assert found.metadata == {"text": "a", "whole": 3, "part": 0.5, "truth": True}


def test_chroma_tells_who_loses_a_race_to_make_a_collection_what_the_winner_stored(
    connection: Connection,
) -> None:
    connection.ensure("shelf", {"kind": "rival"})
    stored = connection.run(
        lambda session: session.client.get_or_create_collection(
            "shelf", metadata={"kind": "ours"}, embedding_function=None
        )
    )
    assert stored.metadata == {"kind": "rival"}


def test_a_collection_that_does_not_measure_cosine_is_refused(connection: Connection) -> None:
    connection.run(
        lambda session: session.client.create_collection("foreign", embedding_function=None)
    )
    with pytest.raises(StoreBroken, match="foreign measures l2 distance"):
        connection.ensure("foreign", {"kind": "ours"})


def test_there_is_no_collection_before_it_is_made(connection: Connection) -> None:
    assert connection.find("shelf") is None
    connection.ensure("shelf", {"kind": "a"})
    assert connection.find("shelf") is not None


def test_names_lists_every_collection_across_pages(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memapp.chroma.connection.PAGE", 2)
    monkeypatch.setattr("memapp.chroma.connection.OVERLAP", 1)
    for name in ["cherry", "apple", "banana", "damson"]:
        connection.ensure(name, {"kind": "a"})
    assert connection.names() == ["apple", "banana", "cherry", "damson"]


@pytest.mark.parametrize("drops", [1, 5])
def test_no_collection_is_left_out_because_others_are_dropped_meanwhile(
    connect: Callable[[], ClientAPI], monkeypatch: pytest.MonkeyPatch, drops: int
) -> None:
    monkeypatch.setattr("memapp.chroma.connection.PAGE", 6)
    monkeypatch.setattr("memapp.chroma.connection.OVERLAP", 2)
    client = connect()
    everything = client.list_collections
    for number in range(50):
        client.create_collection(f"shelf{number}", embedding_function=None)

    def list_and_drop(limit: int, offset: int) -> Sequence[Collection]:
        page = everything(limit=limit, offset=offset)
        for first in everything(limit=drops):
            client.delete_collection(first.name)
        return page

    monkeypatch.setattr(client, "list_collections", list_and_drop)
    connection = Connection(lambda: client, patience=PATIENCE)
    found = connection.names()
    left = {collection.name for collection in everything()}
    connection.close()

    assert left
    assert left <= set(found)


def test_drop_tells_whether_there_was_one(connection: Connection) -> None:
    connection.ensure("shelf", {"kind": "a"})
    assert connection.drop("shelf") is True
    assert connection.drop("shelf") is False
    assert connection.find("shelf") is None


REFUSED = httpx.ConnectError("[Errno 111] Connection refused")
BAD_GATEWAY = httpx.HTTPStatusError(
    "502", request=httpx.Request("DELETE", "http://chroma"), response=httpx.Response(502)
)


@pytest.mark.parametrize(("failure", "was_there"), [(REFUSED, False), (BAD_GATEWAY, True)])
def test_a_drop_that_finds_nothing_the_second_time_may_have_been_done_the_first(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, *, was_there: bool
) -> None:
    connection = Connection(partial(ephemeral.connect, ChromaConfig()), patience=PATIENCE)
    outcomes = [failure, NotFoundError("Collection [shelf] does not exist")]

    def fail(_client: Client, _name: str) -> None:
        raise outcomes.pop(0)

    monkeypatch.setattr(Client, "delete_collection", fail)
    assert connection.drop("shelf") is was_there
    connection.close()


def test_rename_moves_what_a_collection_holds(connection: Connection) -> None:
    old = connection.ensure("old", {"kind": "a"})
    old.add(["1"], unit_vectors(1), [{"n": 1}], ["text"])
    connection.rename("old", "new")
    new = connection.find("new")
    assert new is not None
    assert new.count() == 1
    assert connection.find("old") is None


def test_rename_never_replaces_a_collection(connection: Connection) -> None:
    connection.ensure("old", {"kind": "a"})
    connection.ensure("new", {"kind": "b"})
    with pytest.raises(Conflict, match="a collection new already"):
        connection.rename("old", "new")


def test_renaming_nothing_is_told(connection: Connection) -> None:
    with pytest.raises(CollectionGone):
        connection.rename("old", "new")


def test_the_canary_reads_in_seconds(connection: Connection) -> None:
    connection.ensure("shelf", {"kind": "a"})
    assert 0 < connection.canary() < 10


def test_the_cloud_is_reached_by_tls_at_its_host() -> None:
    config = ChromaConfig(cloud_host="127.0.0.1", api_key="ck-1", patience=PATIENCE)
    connection = Connection(partial(cloud.connect, config), patience=PATIENCE)
    with pytest.raises(StoreUnavailable):  # Nobody listens on port 443 here.
        connection.names()


def test_tenant_and_database_are_taken_from_the_key_where_none_are_named(
    chroma_server: ChromaServer,
) -> None:
    client = http.HttpChroma(
        tenant=None,
        database=None,
        settings=IsolatedSettings(
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=chroma_server.host,
            chroma_server_http_port=chroma_server.port,
            chroma_overwrite_singleton_tenant_database_access_from_auth=True,
        ),
        patience=PATIENCE,
    )
    assert (client.tenant, client.database) == ("default_tenant", "default_database")
    client.close()
