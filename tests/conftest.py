"""What all tests share: a real Chroma server, started once for each test process."""

from collections.abc import Iterator

import pytest

from tests.chroma_server import ChromaServer


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A running Chroma server, shared by the tests.

    A test that stops or freezes it starts or thaws it again before it ends.
    """
    server = ChromaServer(tmp_path_factory.mktemp("chroma-server"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def chroma_port(chroma_server: ChromaServer) -> int:
    """The running server's port."""
    return chroma_server.port


@pytest.fixture
def chroma_database(chroma_server: ChromaServer) -> str:
    """The name of a new, empty database on the running server."""
    return chroma_server.new_database()
