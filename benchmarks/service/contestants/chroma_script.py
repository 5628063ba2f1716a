"""The plain script of Chroma's tutorials: give it texts and let it embed them."""

from collections.abc import Sequence
from typing import Any

import chromadb
from chromadb.config import Settings
from chromadb.utils.embedding_functions import DefaultEmbeddingFunction

from benchmarks.service.calls import Call


class ChromaScript:
    """Documents, cut beforehand, embedded by Chroma's own default function and added."""

    def __init__(self, port: int, vectors: Any, prefix: str) -> None:
        """Connect to the server on `port`; the given vectors are of no use here."""
        del vectors
        self._prefix = prefix
        client = chromadb.HttpClient(
            host="127.0.0.1", port=port, settings=Settings(anonymized_telemetry=False)
        )
        self._collection = client.get_or_create_collection(
            "inbox",
            # A subtype of what is asked for in all but the annotations.
            embedding_function=DefaultEmbeddingFunction(),  # type: ignore[arg-type]
        )

    def do(self, call: Call) -> list[str]:
        """Add the chunks of one document, or find some."""
        if call.kind == "retrieve":
            found = self._collection.query(query_texts=list(call.texts), n_results=call.limit)
            return list((found["documents"] or [[]])[0])
        if call.kind != "ingest":
            message = f"the script knows no {call.kind}"
            raise NotImplementedError(message)
        ids = [f"{self._prefix}{call.number}.{index}" for index in range(len(call.texts))]
        self._collection.add(ids=ids, documents=list(call.texts))
        return []

    def load(self, users: Sequence[str], numbers: Sequence[Sequence[int]]) -> None:
        """Store no memories: the script is about documents."""

    def fill_library(self, texts: Sequence[str], first_row: int) -> None:
        """Store no library: the script is about ingest."""
