"""Chroma's own HTTP API without any client library, over the collections of another contestant."""

import base64
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import orjson

from benchmarks.service.calls import PAGE, Call, Kind
from benchmarks.service.closed_loop import ClientLog, drive
from benchmarks.service.contestants.library_processes import LibraryProcesses
from benchmarks.service.http_requests import http_request, send
from benchmarks.service.servers import HOST

_DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"


class ChromaRest:
    """The limit of the store: requests written beforehand, sent straight to the Chroma server.

    It shares the store of `host`, whose layout is a collection per user, and must be started
    after it.
    """

    def __init__(self, name: str, host: LibraryProcesses) -> None:
        """Take part under `name` with the data of `host`."""
        self.name = name
        self.corpus = host.corpus
        self._host = host
        self._collections: dict[str, str] = {}
        self._vector = cache(self._vector_json)

    @property
    def kinds(self) -> frozenset[Kind]:
        """What touches one collection; deleting is left to the host, whose memories they are."""
        return frozenset({"add", "batch", "search", "get", "page", "update", "retrieve"})

    def start(self) -> None:
        """Start nothing: the host has."""

    def fill_library(self) -> None:
        """Store nothing: the host does."""

    def drive(self, calls: Sequence[Sequence[Call]], seconds: float) -> list[ClientLog]:
        """Send requests written beforehand."""
        requests = [[self._request(call) for call in client] for client in calls]
        return drive(self._address, requests, seconds)

    def answer(self, call: Call) -> list[str]:
        """Return the texts found."""
        found = self._ask(self._request(call))
        return list(found["documents"][0])

    def service_processes(self) -> list[int]:
        """Return nothing: only the store serves."""
        return []

    def store_processes(self) -> list[int]:
        """Return the host's Chroma server."""
        return self._host.store_processes()

    def stop(self) -> None:
        """Stop nothing: the host does."""

    @property
    def _address(self) -> tuple[str, int]:
        if self._host.chroma is None:
            message = f"{self._host.name} has not been started"
            raise RuntimeError(message)
        return HOST, self._host.chroma.port

    def _ask(self, request: bytes) -> Any:
        status, body = send(self._address, request)
        if status >= 300:
            message = f"{self.name} answered {status}: {body[:500]!r}"
            raise RuntimeError(message)
        return orjson.loads(body)

    def _request(self, call: Call) -> bytes:
        name = "library" if call.kind == "retrieve" else call.user
        if name not in self._collections:
            found = self._ask(http_request("GET", f"{_DATABASE}/collections/{name}", b""))
            self._collections[name] = found["id"]
        action, body = self._worded(call)
        path = f"{_DATABASE}/collections/{self._collections[name]}/{action}"
        return http_request("POST", path, body)

    def _worded(self, call: Call) -> tuple[str, bytes]:
        parts = ["documents", "metadatas"]
        match call.kind:
            case "search" | "retrieve":
                asked = {"n_results": call.candidates, "include": [*parts, "distances"]}
                body = orjson.dumps(asked)[:-1]
                return "query", body + b',"query_embeddings":[' + self._vector(call.rows[0]) + b"]}"
            case "get":
                return "get", orjson.dumps({"ids": [f"m{call.number}"], "include": parts})
            case "page":
                return "get", orjson.dumps({"limit": PAGE, "include": parts})
            case "update":
                return "update", orjson.dumps(self._records(call, [f"m{call.number}"]))
        ids = [f"r{call.number + i}" for i in range(len(call.texts))]
        metadatas = [{"user_id": call.user, "session_id": f"{call.user}-1"} for _ in ids]
        return "add", orjson.dumps({**self._records(call, ids), "metadatas": metadatas})

    def _records(self, call: Call, ids: list[str]) -> dict[str, Any]:
        vectors = self.corpus.vectors[list(call.rows)]
        encoded = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
        return {"ids": ids, "embeddings": encoded, "documents": list(call.texts)}

    def _vector_json(self, row: int) -> bytes:
        vector = np.ascontiguousarray(self.corpus.vectors[row])
        return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY)
