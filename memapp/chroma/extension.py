"""Flask's door to the Chroma connections of an app."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chromadb.api import ClientAPI
from flask import Flask, current_app

from memapp.chroma.connection import Connection, Observe, unobserved
from memapp.chroma_config import ChromaConfig, Patience

Connect = Callable[[ChromaConfig], ClientAPI]
"""A backend: open a client, keeping to the times of `config.patience`."""

_KEY = "memapp.chroma"


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections of one app; the same one twice where there is one store.

    Attributes:
        memories: Where memories are kept.
        documents: Where documents are kept.
    """

    memories: Connection
    documents: Connection

    def close(self) -> None:
        """Close both; the next call opens them anew."""
        self.memories.close()
        self.documents.close()


def open_lazily(
    settings: Mapping[str, Any], connect: Connect, observe: Observe = unobserved
) -> Connections:
    """Make the connections that the settings describe; nothing is opened before it is used.

    Args:
        settings: The `CHROMA_*` settings, under their flat names.
        connect: The backend that `CHROMA_MODE` names.
        observe: Told of each call to Chroma.
    """
    memories = _config(settings, settings["CHROMA_DB_PATH"])
    documents = _config(settings, settings["CHROMA_PERSIST_DIR"])
    sizes = {
        "batch_size": settings["CHROMA_BATCH_SIZE"],
        "sync_threshold": settings["CHROMA_SYNC_THRESHOLD"],
    }

    def connection(config: ChromaConfig) -> Connection:
        return Connection(
            partial(connect, config), patience=config.patience, observe=observe, **sizes
        )

    first = connection(memories)
    if settings["CHROMA_MODE"] != "persistent" or memories.path == documents.path:
        return Connections(first, first)
    return Connections(first, connection(documents))


def server_of(settings: Mapping[str, Any]) -> ChromaConfig | None:
    """Return the server that the settings name, or None for every mode but http."""
    return _config(settings, "") if settings["CHROMA_MODE"] == "http" else None


class ChromaExtension:
    """The Chroma connections of the current app.

    Keeps nothing itself: what belongs to an app lies in its `extensions["memapp.chroma"]`.
    """

    def init_app(self, app: Flask, connect: Connect, observe: Observe = unobserved) -> None:
        """Prepare the connections that the app's configuration describes; open nothing.

        Args:
            app: The app.
            connect: The backend that `CHROMA_MODE` names.
            observe: Told of each call to Chroma.

        Raises:
            RuntimeError: the app has them already.
        """
        if _KEY in app.extensions:
            message = "this app has Chroma connections already; call init_app once"
            raise RuntimeError(message)
        app.extensions[_KEY] = open_lazily(app.config, connect, observe)

    def is_ready(self, app: Flask) -> bool:
        """Tell whether `init_app` has prepared the app."""
        return _KEY in app.extensions

    @property
    def memories(self) -> Connection:
        """The connection to the current app's memories."""
        return self._connections.memories

    @property
    def documents(self) -> Connection:
        """The connection to the current app's documents."""
        return self._connections.documents

    @property
    def _connections(self) -> Connections:
        connections = current_app.extensions.get(_KEY)
        if not isinstance(connections, Connections):
            message = "this app has no Chroma connections. Did you forget to call 'init_app'?"
            raise TypeError(message)
        return connections


def _config(settings: Mapping[str, Any], folder: str) -> ChromaConfig:
    patience = Patience(
        connect_timeout=settings["CHROMA_CONNECT_TIMEOUT"],
        probe_timeout=settings["CHROMA_PROBE_TIMEOUT"],
        read_timeout=settings["CHROMA_READ_TIMEOUT"],
        retries=settings["CHROMA_RETRIES"],
    )
    return ChromaConfig(
        path=str(Path(folder).resolve()),
        host=settings["CHROMA_HOST"],
        port=settings["CHROMA_PORT"],
        ssl=settings["CHROMA_SSL"],
        token=settings["CHROMA_AUTH_TOKEN"] or "",
        token_header=settings["CHROMA_AUTH_HEADER"],
        headers=settings["CHROMA_HEADERS"] or {},
        tenant=settings["CHROMA_TENANT"] or "",
        database=settings["CHROMA_DATABASE"] or "",
        api_key=settings["CHROMA_API_KEY"] or "",
        cloud_host=settings["CHROMA_CLOUD_HOST"],
        patience=patience,
    )
