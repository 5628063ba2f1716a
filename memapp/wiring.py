"""Puts an app's objects together, once in each process.

This room alone knows both the services and what they stand on. Built-ins are named here as users
name plug-ins: by 'module:attribute', imported when a setting asks for them.
"""

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app

from memapp import errands, plugins
from memapp.embedders.caching import with_query_cache
from memapp.embedders.measuring import MeasuredEmbedder
from memapp.embedders.per_process import PerProcess
from memapp.instruments import Instruments, make_instruments, refuse_missing_library
from memapp.ports import Embedder, Reader
from memapp.ranking import memory_embedding_text
from memapp.services.documents import Documents
from memapp.services.memories import Memories

if TYPE_CHECKING:
    from memapp.chroma.documents import ChromaDocuments
    from memapp.chroma.extension import ChromaExtension, Connect
    from memapp.chroma.health import ChromaHealth
    from memapp.chroma.memories import ChromaMemories
    from memapp.chroma.reembedding import Reembedded
    from memapp.chroma.write_marks import WriteMarks
    from memapp.chroma_config import ChromaConfig

BACKENDS: Mapping[str, str] = {
    "persistent": "memapp.backends.persistent:connect",
    "http": "memapp.backends.http:connect",
    "cloud": "memapp.backends.cloud:connect",
    "ephemeral": "memapp.backends.ephemeral:connect",
}
EMBEDDERS: Mapping[str, str] = {
    "minilm": "memapp.embedders.minilm:create",
    "openai": "memapp.embedders.openai:create",
    "chroma-default": "memapp.embedders.chroma_default:create",
    "sentence-transformers": "memapp.embedders.sentence_transformers:create",
    "hash": "memapp.embedders.hashing:create",
}

READERS: Mapping[str, str] = {
    "text": "memapp.readers.text:create",
    "markdown": "memapp.readers.markdown:create",
    "html": "memapp.readers.html:create",
    "json": "memapp.readers.json:create",
    "csv": "memapp.readers.csv:create",
    "code": "memapp.readers.code:create",
    "pdf": "memapp.readers.pdf:create",
    "office": "memapp.readers.office:create",
}

_EXTENSION = "memapp.rooms"

_LATE_IMPORTS = ("memapp.chroma.documents", "memapp.chroma.health", "memapp.chroma.memories")
"""What `_Rooms` imports when it first needs it."""

_NETWORK = ("onnxruntime", "tokenizers")
_LIBRARIES = {"minilm": _NETWORK, "chroma-default": _NETWORK}
"""What embedders import when they are first asked."""

_METRICS = ("prometheus_client", "prometheus_client.multiprocess")


def init_app(app: Flask) -> None:
    """Give the app its objects, to be made when they are first used; open nothing.

    Raises:
        ConfigurationError: a plug-in cannot be imported, or the embedder cannot be what the
            settings say.
    """
    app.extensions[_EXTENSION] = _Rooms(app)


def load_before_fork(config: Mapping[str, Any]) -> None:
    """Load all that an app with these settings will need, so that processes forked later share it.

    A network is left to each process if onnxruntime's telemetry is on, which memapp turns off
    unless the environment says otherwise: its thread, started at import, makes forked children
    crash, or hang when they end (onnxruntime PR 27379).

    Raises:
        ConfigurationError: the embedder's network cannot be loaded.
    """
    is_silent = os.environ.get("ORT_DISABLE_TELEMETRY") == "1"
    libraries = _LIBRARIES.get(config["EMBEDDER"], ()) if is_silent else ()
    metrics = _METRICS if config["METRICS"] else ()
    for module in (*_LATE_IMPORTS, *libraries, *metrics):
        importlib.import_module(module)
    if libraries and config["EMBEDDER"] == "minilm":
        minilm = importlib.import_module("memapp.embedders.minilm")
        minilm.load_before_fork(config)


def share_with_forks() -> None:
    """Give this process, and those that it forks from now on, what they have in common."""
    from memapp.chroma import write_marks  # noqa: PLC0415 - imports chromadb

    errands.found_family()
    write_marks.share_with_forks()


def memories() -> Memories:
    """Return the current app's memories."""
    return _rooms().memories.get()


def documents() -> Documents:
    """Return the current app's documents."""
    return _rooms().documents.get()


def health() -> "ChromaHealth":
    """Return what looks after the current app's Chroma."""
    return _rooms().health.get()


def instruments() -> Instruments:
    """Return what measures the current app, with METRICS on."""
    return _rooms().instruments.get()


def counts(tenant: str) -> dict[str, int]:
    """Count what a tenant has in the current app: `memories`, `documents` and `chunks`."""
    rooms = _rooms()
    memories = rooms.memory_store.get().count(tenant)
    return {"memories": memories, **rooms.document_store.get().count(tenant)}


def sweep() -> int:
    """Remove what has expired and what dead ingests left, of all tenants; count the records."""
    rooms = _rooms()
    return rooms.memory_store.get().sweep(_now()) + rooms.document_store.get().sweep(_now())


def reembed(*, rebuilds_all: bool) -> "Iterator[Reembedded]":
    """Compute vectors anew, all or those that another embedder made; yield how far it is."""
    from memapp.chroma.reembedding import reembed as rebuild  # noqa: PLC0415 - imports chromadb

    rooms = _rooms()
    chroma = rooms.chroma.get()
    for connection in dict.fromkeys((chroma.memories, chroma.documents)):
        yield from rebuild(connection, rooms.embedder, _embedding_text, rebuilds_all=rebuilds_all)


class _Rooms:
    """The objects of one app. Chroma's library, slow to import, is left until a call needs it."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._config: Mapping[str, Any] = app.config
        if self._config["METRICS"]:
            refuse_missing_library()
        self.instruments = PerProcess(make_instruments)
        self.embedder = self._make_embedder()
        self._readers = [_reader(name) for name in self._config["READERS"]]
        mode = self._config["CHROMA_MODE"]
        if mode not in BACKENDS:
            plugins.resolve("CHROMA_MODE", mode, BACKENDS)  # Its faults stop the start.
        self.chroma = PerProcess(self._connect)
        self.memory_store = PerProcess(self._make_memory_store)
        self.memories = PerProcess(self._make_memories)
        self.document_store = PerProcess(self._make_document_store)
        self.documents = PerProcess(self._make_documents)
        self.health = PerProcess(self._make_health)

    def _make_embedder(self) -> Embedder:
        create = plugins.resolve("EMBEDDER", self._config["EMBEDDER"], EMBEDDERS)
        embedder = cast("Callable[[Mapping[str, Any]], Embedder]", create)(self._config)
        if self._config["METRICS"]:
            embedder = MeasuredEmbedder(embedder, self._observe_embedding)
        return with_query_cache(embedder, size=self._config["EMBEDDING_CACHE_SIZE"])

    def _connect(self) -> "ChromaExtension":
        from memapp.chroma.extension import ChromaExtension  # noqa: PLC0415 - imports chromadb

        chroma = ChromaExtension()
        if not chroma.is_ready(self._app):
            connect = plugins.resolve("CHROMA_MODE", self._config["CHROMA_MODE"], BACKENDS)
            chroma.init_app(self._app, cast("Connect", connect), self._observe_chroma)
        return chroma

    def _observe_chroma(self, seconds: float) -> None:
        if self._config["METRICS"]:
            self.instruments.get().observe_chroma(seconds)

    def _observe_embedding(self, kind: str, seconds: float, *, texts: int) -> None:
        self.instruments.get().observe_embedding(kind, seconds, texts=texts)

    def _make_memory_store(self) -> "ChromaMemories":
        from memapp.chroma.cache_budget import Budget  # noqa: PLC0415
        from memapp.chroma.memories import ChromaMemories  # noqa: PLC0415 - imports chromadb

        return ChromaMemories(
            self.chroma.get().memories,
            self.embedder.identity,
            _now,
            shards=self._config["MEMORY_SHARDS"],
            claim_lifetime=timedelta(hours=self._config["IDEMPOTENCY_HOURS"]),
            cache=Budget(self._config["USER_CACHE_BYTES"]),
            marks=self._write_marks(),
            company=self._company(),
            family=self._family(),
            # Chroma's server writes through one queue; the distributed engine does not.
            writes_in_turn=self._config["CHROMA_MODE"] != "cloud",
        )

    def _write_marks(self) -> "WriteMarks | None":
        from memapp.chroma.write_marks import WriteMarks  # noqa: PLC0415

        config = self._config
        if config["CHROMA_MODE"] == "persistent":
            return WriteMarks.of_process(config["CHROMA_DB_PATH"])  # Locked against others.
        if config["CHROMA_MODE"] == "ephemeral":
            return WriteMarks.of_process("")
        if config["ONE_HOST"]:
            return WriteMarks.of_host(self._server())
        return WriteMarks.of_family() if self._family() else None

    def _family(self) -> str | None:
        """Return the name of the processes that take leases together; see `ChromaMemories`."""
        if self._config["CHROMA_MODE"] != "http":
            # Nobody else writes; or, with the distributed engine, it is not known whether reads
            # see all that was written before them, in the order of writing.
            return None
        from memapp.chroma.write_marks import WriteMarks  # noqa: PLC0415

        is_shared = not self._config["ONE_HOST"] and WriteMarks.of_family() is not None
        return errands.family() if is_shared else ""

    def _company(self) -> str:
        """Return the name of those who write the same things to the same Chroma as this process."""
        if not errands.family() or self._config["CHROMA_MODE"] != "http":
            return ""
        written = f"{self._server()}\0{self.embedder.identity}"
        return f"{errands.family()}.{sha256(written.encode()).hexdigest()[:16]}"

    def _server(self) -> str:
        names = ("CHROMA_HOST", "CHROMA_PORT", "CHROMA_TENANT", "CHROMA_DATABASE")
        return "\0".join(str(self._config[name]) for name in names)

    def _make_memories(self) -> Memories:
        store = self.memory_store.get()
        return Memories(
            store,
            self.embedder,
            _now,
            pool=self._config["SEARCH_POOL"],
            speaker_boost=self._config["SPEAKER_BOOST"],
        )

    def _make_document_store(self) -> "ChromaDocuments":
        from memapp.chroma.documents import ChromaDocuments  # noqa: PLC0415 - imports chromadb

        company = self._company()
        return ChromaDocuments(
            self.chroma.get().documents,
            self.embedder.identity,
            _now,
            company=company and f"{company}.documents",
        )

    def _make_documents(self) -> Documents:
        return Documents(
            self.document_store.get(),
            self.embedder,
            self._readers,
            _now,
            chunk_characters=self._config["CHUNK_CHARACTERS"],
            chunk_overlap=self._config["CHUNK_OVERLAP"],
            pool=self._config["SEARCH_POOL"],
        )

    def _make_health(self) -> "ChromaHealth":
        from memapp.chroma.extension import Connections, server_of  # noqa: PLC0415
        from memapp.chroma.health import ChromaHealth  # noqa: PLC0415 - imports chromadb

        chroma = self.chroma.get()
        connections = Connections(chroma.memories, chroma.documents)
        is_production = self._config["ENVIRONMENT"] == "production"
        server = server_of(self._config)
        return ChromaHealth(connections, server, _try_token, warns=is_production)


def _rooms() -> _Rooms:
    rooms: _Rooms = current_app.extensions[_EXTENSION]
    return rooms


def _reader(name: str) -> Reader:
    create = plugins.resolve("READERS", name, READERS)
    return cast("Callable[[], Reader]", create)()


def _try_token(config: "ChromaConfig", token: str, *, timeout: float) -> None:
    """Ask a Chroma server with a token, as the backend does that reaches it."""
    from memapp.backends import http  # noqa: PLC0415 - only one mode needs it

    http.try_token(config, token, timeout=timeout)


def _embedding_text(collection: str, fields: Mapping[str, Any], text: str) -> str:
    """Word a stored record for the embedder, as the service did that stored it."""
    from memapp.chroma.document_records import embedded_text  # noqa: PLC0415 - imports chromadb

    if collection.startswith("doc."):
        return embedded_text(fields, text)
    return memory_embedding_text(text)


def _now() -> datetime:
    return datetime.now(UTC)
