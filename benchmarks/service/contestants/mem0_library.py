"""mem0 over a Chroma server, without a language model: texts are stored as they are."""

import hashlib
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.service import texts
from benchmarks.service.calls import PAGE, Call
from benchmarks.service.contestants.float_embedder import FloatEmbedder

_COLLECTION = "mem0"
_AT_ONCE = 1000


class Mem0:
    """mem0's `Memory` with its defaults, but for Chroma as the store and the embedder."""

    def __init__(self, port: int, vectors: Any, model: Path) -> None:
        """Connect to the server on `port`; `model` is the folder of the float32 network."""
        from mem0 import Memory  # noqa: PLC0415 - only in the peer's environment
        from mem0.configs.base import MemoryConfig  # noqa: PLC0415
        from mem0.embeddings.configs import EmbedderConfig  # noqa: PLC0415
        from mem0.llms.configs import LlmConfig  # noqa: PLC0415
        from mem0.vector_stores.configs import VectorStoreConfig  # noqa: PLC0415

        self._embedder = _Embedder(vectors, model)
        history = Path(os.environ["MEM0_DIR"]) / "history.db"
        store = {"collection_name": _COLLECTION, "host": "127.0.0.1", "port": port}
        config = MemoryConfig(
            vector_store=VectorStoreConfig(provider="chroma", config=store),
            # Neither is ever asked; they only must be there.
            llm=LlmConfig(provider="openai", config={"api_key": "none", "model": "none"}),
            embedder=EmbedderConfig(provider="openai", config={"api_key": "none"}),
            history_db_path=str(history),
        )
        self._memory = Memory(config)
        self._memory.embedding_model = self._embedder
        self._vectors = vectors

    def do(self, call: Call) -> list[str]:
        """Do one call."""
        self._embedder.expect(call)
        match call.kind:
            case "search":
                found = self._memory.search(
                    call.texts[0], filters={"user_id": call.user}, top_k=call.limit
                )
                return [one["memory"] for one in found["results"]]
            case "get":
                if self._memory.get(f"m{call.number}") is None:
                    message = f"there is no memory {call.number}"
                    raise RuntimeError(message)
            case "page":
                self._memory.get_all(filters={"user_id": call.user}, top_k=PAGE)
            case "add" | "batch":
                messages = [{"role": "user", "content": text} for text in call.texts]
                self._memory.add(messages, user_id=call.user, infer=False)
            case "update":
                self._memory.update(f"m{call.number}", text=call.texts[0])
            case "delete":
                self._memory.delete(f"m{call.number}")
            case "ingest" | "retrieve":
                message = f"mem0 knows no {call.kind}"
                raise NotImplementedError(message)
        return []

    def load(self, users: Sequence[str], numbers: Sequence[Sequence[int]]) -> None:
        """Store memories as mem0 would, but many in one request: it takes an hour otherwise."""
        collection = self._memory.vector_store.collection
        now = datetime.now(UTC).isoformat()
        for user, own in zip(users, numbers, strict=True):
            for start in range(0, len(own), _AT_ONCE):
                part = list(own[start : start + _AT_ONCE])
                collection.add(
                    ids=[f"m{number}" for number in part],
                    embeddings=np.asarray(self._vectors[part]),
                    metadatas=[_payload(texts.memory(number), user, now) for number in part],
                )

    def fill_library(self, texts: Sequence[str], first_row: int) -> None:
        """Store no library: mem0 keeps no documents."""


class _Embedder:
    """Given vectors where the call has them, else the float32 network's; in mem0's terms."""

    def __init__(self, vectors: Any, model: Path) -> None:
        self._vectors = vectors
        self._network = FloatEmbedder(model)
        self._given = threading.local()

    def expect(self, call: Call) -> None:
        self._given.rows = dict(zip(call.texts, call.rows, strict=bool(call.rows)))

    def embed(
        self, text: str, memory_action: Literal["add", "search", "update"] | None = None
    ) -> list[float]:
        del memory_action
        row = self._given.rows.get(text)
        vector = self._network.embed(text) if row is None else self._vectors[row]
        return list(vector.tolist())

    def embed_batch(
        self,
        texts: Sequence[str],
        memory_action: Literal["add", "search", "update"] | None = None,
    ) -> list[list[float]]:
        return [self.embed(text, memory_action) for text in texts]


def _payload(text: str, user: str, now: str) -> dict[str, str]:
    """Return the metadata that mem0 2.2 stores with a memory added with `infer=False`."""
    return {
        "user_id": user,
        "role": "user",
        "data": text,
        "hash": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        "created_at": now,
        "updated_at": now,
        "text_lemmatized": text.lower(),
    }
