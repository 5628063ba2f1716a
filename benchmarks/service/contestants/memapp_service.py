"""memapp behind gunicorn, as it is deployed."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import orjson

from benchmarks.service import texts
from benchmarks.service.calls import PAGE, Call, Kind, Mode
from benchmarks.service.closed_loop import ClientLog, drive
from benchmarks.service.corpus import Corpus
from benchmarks.service.http_requests import http_request, send
from benchmarks.service.servers import (
    HOST,
    REPOSITORY,
    Server,
    free_port,
    plain_environment,
    start_chroma,
)

_ROOT_FILES = ("wsgi.py", "gunicorn.conf.py", "settings.toml")
"""What a deployment copies beside its data."""

_LOADERS = 4
"""Connections that fill the store."""

_LOADED_AT_ONCE = 500

_WARMING = 32
"""Connections at once by which all workers are reached."""


class MemappService:
    """memapp with its own Chroma server, or with an embedded one."""

    def __init__(
        self,
        name: str,
        corpus: Corpus,
        folder: Path,
        *,
        workers: int = 4,
        threads: int = 8,
        mode: Literal["http", "persistent"] = "http",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a service; nothing runs yet.

        Args:
            name: What it is called in tables.
            corpus: What it will hold.
            folder: New folder for its root and its data.
            workers: Of gunicorn.
            threads: Of each worker.
            mode: Of Chroma.
            settings: Further environment variables.
        """
        self.name = name
        self.corpus = corpus
        self._folder = folder
        self._shape = ["-w", str(workers), "--threads", str(threads)]
        self._mode = mode
        self._settings = dict(settings or {})
        self._chroma: Server | None = None
        self._gunicorn: Server | None = None
        self._ids: dict[int, str] = {}

    @property
    def kinds(self) -> frozenset[Kind]:
        """Everything."""
        return frozenset(
            {"add", "batch", "search", "get", "page", "update", "delete", "ingest", "retrieve"}
        )

    def start(self) -> None:
        """Start Chroma and gunicorn, and add the memories through the API."""
        self._folder.mkdir(parents=True)
        for file in _ROOT_FILES:
            shutil.copy(REPOSITORY / file, self._folder / file)
        if self._mode == "http":
            self._chroma = start_chroma(self._folder / "chroma")
        self._gunicorn = self._start_gunicorn("/health/ready")
        starts = range(0, self.corpus.memories, _LOADED_AT_ONCE)
        with ThreadPoolExecutor(_LOADERS) as loaders:
            for ids in loaders.map(self._load, starts):
                self._ids.update(ids)
        self.warm_up()

    def restart(self) -> float:
        """Start gunicorn anew; return the seconds until the first answered search."""
        self._running.stop()
        began = time.perf_counter()
        self._gunicorn = self._start_gunicorn("")
        call = Call("search", self.corpus.user(0), texts=[texts.question(0)])
        request = self._request(call)
        while True:
            try:
                status, _ = send((HOST, self._running.port), request)
            except OSError:
                status = 0
            if status == 200:
                return time.perf_counter() - began
            time.sleep(0.01)

    def fill_library(self) -> None:
        """Ingest the corpus's documents into the collection `library`."""
        with ThreadPoolExecutor(_LOADERS) as loaders:
            list(loaders.map(self._ingest, range(self.corpus.documents)))

    def drive(self, calls: Sequence[Sequence[Call]], seconds: float) -> list[ClientLog]:
        """Let clients send calls over HTTP."""
        requests = [[self._request(call) for call in client] for client in calls]
        return drive((HOST, self._running.port), requests, seconds)

    def answer(self, call: Call) -> list[str]:
        """Return the texts found."""
        return [found["text"] for found in self._ask(self._request(call))["data"]]

    def service_processes(self) -> list[int]:
        """Return gunicorn's master."""
        return [self._running.pid]

    def store_processes(self) -> list[int]:
        """Return Chroma's server, if there is one."""
        return [] if self._chroma is None else [self._chroma.pid]

    def stop(self) -> None:
        """Stop gunicorn, then Chroma."""
        for server in (self._gunicorn, self._chroma):
            if server is not None:
                server.stop()

    @property
    def _running(self) -> Server:
        if self._gunicorn is None:
            message = f"{self.name} has not been started"
            raise RuntimeError(message)
        return self._gunicorn

    def _start_gunicorn(self, ready_path: str) -> Server:
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", *self._shape, "--bind", f"{HOST}:{port}"]
        environment = {"MEMAPP_AUTH": "off", "CHROMA_MODE": self._mode, "MEMAPP_DRAIN_SECONDS": "0"}
        environment["ENV_FOR_DYNACONF"] = "production" if self._chroma else "development"
        if self._chroma is not None:
            environment |= {"CHROMA_HOST": HOST, "CHROMA_PORT": str(self._chroma.port)}
        return Server(
            [*command, "wsgi:app"],
            port=port,
            folder=self._folder,
            ready_path=ready_path,
            environment=plain_environment(**environment, **self._settings),
        )

    def warm_up(self) -> None:
        """Let every worker open its client and load its network; none is chosen by name."""
        users = min(self.corpus.users, 10)
        modes: tuple[Mode, ...] = ("semantic", "hybrid")
        calls = [
            Call("search", user=self.corpus.user(user), texts=[texts.question(user)], mode=mode)
            for user in range(users)
            for mode in modes
        ]
        self.drive([calls] * _WARMING, 60)

    def _load(self, start: int) -> dict[int, str]:
        numbers = range(start, min(start + _LOADED_AT_ONCE, self.corpus.memories))
        memories = [
            {"user_id": self.corpus.user(number), "text": texts.memory(number)}
            for number in numbers
        ]
        request = http_request("POST", "/v1/memories/batch", orjson.dumps({"memories": memories}))
        results = self._ask(request)["results"]
        return {
            number: result["memory"]["id"] for number, result in zip(numbers, results, strict=True)
        }

    def _ingest(self, number: int) -> None:
        document = self.corpus.document(number)
        body = {"text": document, "id": f"d{number}", "collection": "library", "format": "markdown"}
        self._ask(http_request("POST", "/v1/rag/documents", orjson.dumps(body)))

    def _ask(self, request: bytes) -> Any:
        status, body = send((HOST, self._running.port), request)
        if status >= 300:
            message = f"{self.name} answered {status}: {body[:500]!r}"
            raise RuntimeError(message)
        return orjson.loads(body)

    def _request(self, call: Call) -> bytes:
        method, path, body = self._worded(call)
        return http_request(method, path, b"" if body is None else orjson.dumps(body))

    def _worded(self, call: Call) -> tuple[str, str, dict[str, Any] | None]:
        match call.kind:
            case "add":
                return "POST", "/v1/memories", {"user_id": call.user, "text": call.texts[0]}
            case "batch":
                memories = [{"user_id": call.user, "text": text} for text in call.texts]
                return "POST", "/v1/memories/batch", {"memories": memories}
            case "search":
                asked = {"query": call.texts[0], "limit": call.limit, "mode": call.mode}
                return "POST", "/v1/memories/search", {"user_id": call.user, **asked}
            case "get":
                return "GET", f"/v1/memories/{self._ids[call.number]}", None
            case "page":
                return "GET", f"/v1/memories?user_id={call.user}&limit={PAGE}", None
            case "update":
                path = f"/v1/memories/{self._ids[call.number]}"
                return "PATCH", path, {"text": call.texts[0]}
            case "delete":
                return "DELETE", f"/v1/memories/{self._ids[call.number]}", None
            case "ingest":
                body = {"text": call.texts[0], "id": f"n{call.number}", "collection": "inbox"}
                return "POST", "/v1/rag/documents", {**body, "format": "markdown"}
            case "retrieve":
                asked = {"query": call.texts[0], "limit": call.limit, "mode": call.mode}
                return "POST", "/v1/rag/retrieve", {"collection": "library", **asked}
