"""The same services over stores that compare a query with every vector: nothing approximate.

What memapp's answers are compared with, to show that Chroma's index costs nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.retrieval.service import Mode, Passage
from memapp.embedders import minilm
from memapp.readers import markdown, text
from memapp.records import MemoryDraft, MemoryScope
from memapp.services.documents import Documents, Ingest, Retrieval
from memapp.services.memories import Memories, MemorySearch
from tests.fakes.document_store import FakeDocuments
from tests.fakes.memory_store import FakeMemories

_TENANT = "benchmark"
_POOL = 200
_EMBEDDER = {
    "EMBEDDER_MODEL_PATH": "",
    "EMBEDDER_MODEL_SHA256": "",
    "EMBEDDING_BATCH_TOKENS": 256,
}


class Exhaustive:
    """memapp's services in this process, with the default settings."""

    def __init__(self) -> None:
        """Begin with nothing stored."""
        embedder = minilm.create(_EMBEDDER)
        self._memories = Memories(
            FakeMemories(_now, claim_lifetime=timedelta(hours=1)),
            embedder,
            _now,
            pool=_POOL,
            speaker_boost=0.25,
        )
        self._documents = Documents(
            FakeDocuments(),
            embedder,
            [text.create(), markdown.create()],
            _now,
            chunk_characters=1200,
            chunk_overlap=200,
            pool=_POOL,
        )

    def remember(self, memories: Sequence[Mapping[str, Any]]) -> list[str]:
        """Store memories, given as the API takes them; return their ids, in order."""
        drafts = [
            MemoryDraft(**{**one, "occurred_at": datetime.fromisoformat(one["occurred_at"])})
            for one in memories
        ]
        return [stored.memory.id for stored in self._memories.remember_many(_TENANT, drafts)]

    def recall(
        self, user: str, query: str, *, limit: int, mode: Mode, speaker_boost: bool
    ) -> list[str]:
        """Return the ids of the memories found, best first."""
        search = MemorySearch(
            MemoryScope(user), query, limit=limit, mode=mode, speaker_boost=speaker_boost
        )
        return [scored.memory.id for scored in self._memories.recall(_TENANT, search)]

    def forget(self, user: str) -> None:
        """Remove all memories of a user."""
        self._memories.forget(_TENANT, user, dry_run=False)

    def ingest(self, collection: str, document: str, title: str, content: str) -> None:
        """Store a document; an empty title is none."""
        self._documents.ingest(
            _TENANT,
            Ingest(
                collection=collection,
                content=content.encode(),
                id=document,
                title=title or None,
                source=None,
                metadata={},
                format=None,
                media_type=None,
                name="",
            ),
        )

    def stored_text(self, collection: str, document: str) -> str:
        """Return the text in which passages have their offsets."""
        return self._documents.text(_TENANT, collection, document)

    def retrieve(self, collection: str, query: str, *, limit: int, mode: Mode) -> list[Passage]:
        """Return where the passages found lie, best first."""
        retrieval = Retrieval(query, (collection,), limit=limit, mode=mode)
        found = self._documents.retrieve(_TENANT, retrieval).passages
        return [Passage(one.document.id, one.chunk.start, one.chunk.end) for one in found]

    def drop(self, collection: str) -> None:
        """Remove a collection with all its documents."""
        self._documents.drop(_TENANT, collection)


def _now() -> datetime:
    return datetime.now(UTC)
