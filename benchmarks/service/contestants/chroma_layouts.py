"""`chromadb.HttpClient` used directly, with the users' memories laid out in two ways."""

import time
from collections.abc import Sequence
from typing import Any

import chromadb
import numpy as np
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings

from benchmarks.service import texts
from benchmarks.service.calls import PAGE, Call

_AT_ONCE = 1000
_LIBRARY = "library"


class CollectionPerUser:
    """The best layout for speed: no condition is needed, since each user has a collection."""

    def __init__(self, port: int, vectors: Any, prefix: str) -> None:
        """Connect to the server on `port`.

        Args:
            port: Of the Chroma server.
            vectors: All given vectors by row.
            prefix: Begins every id, so that two contestants may share a store.
        """
        self._client = chromadb.HttpClient(
            host="127.0.0.1", port=port, settings=Settings(anonymized_telemetry=False)
        )
        self._vectors = vectors
        self._prefix = prefix
        self._collections: dict[str, Collection] = {}

    def do(self, call: Call) -> list[str]:
        """Do one call."""
        match call.kind:
            case "search":
                return self._search(self._home(call.user), call, self._condition(call.user))
            case "retrieve":
                return self._search(self._named(_LIBRARY), call, None)
            case "get":
                return self._get(call)
            case "page":
                return self._page(call)
            case "add" | "batch":
                ids = [f"{self._prefix}{call.number + i}" for i in range(len(call.texts))]
                self._home(call.user).add(
                    ids=ids,
                    embeddings=self._vectors[list(call.rows)],
                    documents=list(call.texts),
                    metadatas=[_metadata(call.user) for _ in ids],
                )
            case "update":
                self._home(call.user).update(
                    ids=[f"m{call.number}"],
                    embeddings=self._vectors[list(call.rows)],
                    documents=list(call.texts),
                )
            case "delete":
                self._home(call.user).delete(ids=[f"m{call.number}"])
            case "ingest":
                message = "a document must be cut and embedded first"
                raise NotImplementedError(message)
        return []

    def load(self, users: Sequence[str], numbers: Sequence[Sequence[int]]) -> None:
        """Store memories."""
        for user, own in zip(users, numbers, strict=True):
            for start in range(0, len(own), _AT_ONCE):
                part = list(own[start : start + _AT_ONCE])
                self._home(user).add(
                    ids=[f"m{number}" for number in part],
                    embeddings=np.asarray(self._vectors[part]),
                    documents=[texts.memory(number) for number in part],
                    metadatas=[_metadata(user) for _ in part],
                )

    def fill_library(self, texts: Sequence[str], first_row: int) -> None:
        """Store chunks of documents."""
        for start in range(0, len(texts), _AT_ONCE):
            part = list(texts[start : start + _AT_ONCE])
            first = first_row + start
            self._named(_LIBRARY).add(
                ids=[f"c{start + i}" for i in range(len(part))],
                embeddings=np.asarray(self._vectors[first : first + len(part)]),
                documents=part,
                metadatas=[{"document": (start + i) // 100} for i in range(len(part))],
            )

    def _home(self, user: str) -> Collection:
        """Return the collection that holds a user's memories."""
        return self._named(user)

    def _condition(self, user: str) -> dict[str, Any] | None:
        """Return what restricts a query in that collection to the user."""
        del user
        return None

    def _named(self, name: str) -> Collection:
        collection = self._collections.get(name)
        if collection is None:
            collection = self._client.get_or_create_collection(
                name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
            )
            self._collections[name] = collection
        return collection

    def _search(
        self, collection: Collection, call: Call, condition: dict[str, Any] | None
    ) -> list[str]:
        found = collection.query(
            query_embeddings=self._vectors[list(call.rows)],
            n_results=call.candidates,
            where=condition,
            include=["documents", "metadatas", "distances"],
        )
        return list((found["documents"] or [[]])[0])

    def _get(self, call: Call) -> list[str]:
        found = self._home(call.user).get(
            ids=[f"m{call.number}"], include=["documents", "metadatas"]
        )
        if not found["ids"]:
            message = f"there is no memory {call.number}"
            raise RuntimeError(message)
        return []

    def _page(self, call: Call) -> list[str]:
        found = self._home(call.user).get(
            where=self._condition(call.user), limit=PAGE, include=["documents", "metadatas"]
        )
        if not found["ids"]:
            message = f"{call.user} has no memories"
            raise RuntimeError(message)
        return []


class OneCollection(CollectionPerUser):
    """The layout of most tutorials: all memories in one collection, a condition for the user."""

    def _home(self, user: str) -> Collection:
        del user
        return self._named("memories")

    def _condition(self, user: str) -> dict[str, Any] | None:
        return {"user_id": user}


def _metadata(user: str) -> dict[str, Any]:
    return {"user_id": user, "created_at": time.time(), "session_id": f"{user}-1"}
