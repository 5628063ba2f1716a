"""Apps over real embedded Chroma stores, and clients that check every answer."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from memapp.app import create_app
from tests.openapi import CheckedClient, checked_client

MakeApp = Callable[..., Flask]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An app without keys, shared by the tests; each keeps to a user or collection of its own."""
    return create_app(tmp_path_factory.mktemp("app"), EMBEDDER="hash", AUTH="off")


@pytest.fixture
def client(app: Flask) -> CheckedClient:
    """A client of the shared app."""
    return checked_client(app)


@pytest.fixture
def make_app(tmp_path: Path) -> MakeApp:
    """Make an app with settings of its own, over a store of its own."""

    def make(**overrides: object) -> Flask:
        return create_app(tmp_path, **{"EMBEDDER": "hash", "AUTH": "off", **overrides})

    return make


@pytest.fixture
def user() -> str:
    """A user whom no other test knows."""
    return f"user-{uuid4().hex}"


@pytest.fixture
def collection() -> str:
    """A collection that no other test knows."""
    return f"collection-{uuid4().hex}"
