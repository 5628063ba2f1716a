"""Speak to memapp over HTTP, as any client does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import requests

Mode = Literal["hybrid", "semantic", "keyword"]

_SECONDS = 300.0
"""Longest wait for an answer; a long document is embedded while its request waits."""


class Searched(Protocol):
    """What is measured: memapp over HTTP, or what it is compared with."""

    def remember(self, memories: Sequence[Mapping[str, Any]]) -> list[str]:
        """Store up to 1,000 memories, given as the API takes them; return their ids, in order."""
        ...

    def recall(
        self, user: str, query: str, *, limit: int, mode: Mode, speaker_boost: bool
    ) -> list[str]:
        """Return the ids of the memories found, best first."""
        ...

    def forget(self, user: str) -> None:
        """Remove all memories of a user."""
        ...

    def ingest(self, collection: str, document: str, title: str, content: str) -> None:
        """Store a document; an empty title is none."""
        ...

    def stored_text(self, collection: str, document: str) -> str:
        """Return the text in which passages have their offsets."""
        ...

    def retrieve(self, collection: str, query: str, *, limit: int, mode: Mode) -> "list[Passage]":
        """Return where the passages found lie, best first."""
        ...

    def drop(self, collection: str) -> None:
        """Remove a collection with all its documents."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """Where a retrieved passage lies: document and offsets in its stored text."""

    document: str
    start: int
    end: int


class Service:
    """A running memapp; for one thread."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """Talk to the memapp at `url`, with an API key where it wants one."""
        self._url = url.rstrip("/")
        self._session = requests.Session()
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def remember(self, memories: Sequence[Mapping[str, Any]]) -> list[str]:
        """Store up to 1,000 memories; return their ids, in order.

        Raises:
            RuntimeError: one of them was refused.
        """
        results = self._call("POST", "/v1/memories/batch", {"memories": memories})["results"]
        for result in results:
            if result["status"] == "invalid":
                message = f"a memory was refused: {result['errors']}"
                raise RuntimeError(message)
        return [result["memory"]["id"] for result in results]

    def recall(
        self, user: str, query: str, *, limit: int, mode: Mode, speaker_boost: bool
    ) -> list[str]:
        """Return the ids of the memories found, best first."""
        question = {
            "user_id": user,
            "query": query,
            "limit": limit,
            "mode": mode,
            "speaker_boost": speaker_boost,
        }
        answer = self._call("POST", "/v1/memories/search", question)
        return [memory["id"] for memory in answer["data"]]

    def forget(self, user: str) -> None:
        """Remove all memories of a user."""
        self._call("DELETE", f"/v1/memories?user_id={user}")

    def ingest(self, collection: str, document: str, title: str, content: str) -> None:
        """Store a document."""
        body = {"collection": collection, "id": document, "text": content}
        if title:
            body["title"] = title
        self._call("POST", "/v1/rag/documents", body)

    def stored_text(self, collection: str, document: str) -> str:
        """Return the text in which passages have their offsets."""
        path = f"/v1/rag/documents/{document}/text?collection={collection}"
        return str(self._call("GET", path)["text"])

    def retrieve(self, collection: str, query: str, *, limit: int, mode: Mode) -> list[Passage]:
        """Return where the passages found lie, best first."""
        question = {"collection": collection, "query": query, "limit": limit, "mode": mode}
        answer = self._call("POST", "/v1/rag/retrieve", question)
        return [Passage(one["document_id"], one["start"], one["end"]) for one in answer["data"]]

    def drop(self, collection: str) -> None:
        """Remove a collection with all its documents, if there is one."""
        self._call("DELETE", f"/v1/rag/collections/{collection}", also_fine=404)

    def _call(self, method: str, path: str, body: Any = None, *, also_fine: int = 200) -> Any:
        answer = self._session.request(method, self._url + path, json=body, timeout=_SECONDS)
        if not answer.ok and answer.status_code != also_fine:
            call = f"{method} {path.partition('?')[0]}"
            message = f"{call}: {answer.status_code} {answer.text[:500]}"
            raise RuntimeError(message)
        return answer.json() if answer.content else None
