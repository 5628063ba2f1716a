"""A store of its own for each test that asks for no other."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from memapp.backends import http, persistent
from memapp.chroma.connection import Connection
from memapp.chroma_config import ChromaConfig
from tests.chroma_server import ChromaServer

Connect = Callable[[], Connection]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    config = ChromaConfig(path=str(tmp_path / "chroma"))
    opened = Connection(partial(persistent.connect, config), patience=config.patience)
    yield opened
    opened.close()


@pytest.fixture
def connect(chroma_server: ChromaServer, chroma_database: str) -> Iterator[Connect]:
    """Open connections to one database of a server, as if each were a process's."""
    opened: list[Connection] = []

    def open_one() -> Connection:
        config = ChromaConfig(
            host=chroma_server.host, port=chroma_server.port, database=chroma_database
        )
        opened.append(Connection(partial(http.connect, config), patience=config.patience))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()
