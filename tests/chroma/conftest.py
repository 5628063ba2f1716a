"""A store of its own for each test that asks for no other."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from memapp.backends import persistent
from memapp.chroma.connection import Connection
from memapp.chroma_config import ChromaConfig


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    config = ChromaConfig(path=str(tmp_path / "chroma"))
    opened = Connection(partial(persistent.connect, config), patience=config.patience)
    yield opened
    opened.close()
