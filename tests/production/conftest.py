"""The chain of production: a gate in front of a real Chroma, and memapp behind it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chroma_server import ChromaServer
from tests.production.gate import Gate
from tests.production.memapp_server import MemappServer

Start = Callable[..., MemappServer]


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[ChromaServer]:
    """A running Chroma of this test's own."""
    server = ChromaServer(tmp_path / "chroma")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gate(chroma: ChromaServer, tmp_path: Path) -> Iterator[Gate]:
    """A running gate in front of it."""
    gate = Gate(tmp_path / "gate", chroma_port=chroma.port)
    gate.start()
    yield gate
    gate.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Start]:
    """Make memapp servers that are stopped at the end; the test starts them."""
    with ExitStack() as stack:
        made: list[MemappServer] = []

        def make(
            environ: Mapping[str, str], *arguments: str, host: str = "127.0.0.1", key: str = ""
        ) -> MemappServer:
            folder = tmp_path / f"memapp-{len(made)}"
            server = MemappServer(folder, environ, arguments=arguments, host=host, key=key)
            made.append(server)
            stack.callback(server.stop)
            return server

        yield make
