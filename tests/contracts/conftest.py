"""Real connections for the contracts: an embedded store in a folder, and a server."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from memapp.backends import http, persistent
from memapp.chroma.connection import Connection
from memapp.chroma_config import ChromaConfig

OpenConnection = Callable[[str, Path], Connection]


@pytest.fixture
def open_connection(request: pytest.FixtureRequest) -> Iterator[OpenConnection]:
    """Open a connection to an empty store: `persistent` in a folder, or `http`."""
    opened: list[Connection] = []

    def open_one(mode: str, folder: Path) -> Connection:
        if mode == "persistent":
            connect = partial(persistent.connect, ChromaConfig(path=str(folder / "chroma")))
        else:
            server = request.getfixturevalue("chroma_server")
            connect = partial(http.connect, ChromaConfig(host=server.host, port=server.port))
        connection = Connection(connect, patience=ChromaConfig().patience)
        opened.append(connection)
        for name in connection.names():
            connection.drop(name)
        return connection

    yield open_one
    for connection in opened:
        connection.close()
