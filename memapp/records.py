"""The values that cross rooms: frozen, plain, and ignorant of HTTP and of Chroma."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""One embedding, shape (dimensions,), unit length."""

Vectors = NDArray[np.float32]
"""Embeddings of several texts, shape (texts, dimensions), rows of unit length."""

MetadataValue = (
    str | int | float | bool | Sequence[str] | Sequence[int] | Sequence[float] | Sequence[bool]
)
"""What a metadata key may hold: a scalar, or a non-empty list of one kind of scalar."""

Metadata = Mapping[str, MetadataValue]


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """What must be equal for two vectors to be comparable.

    Attributes:
        provider: Short name of the embedder, for instance `minilm`.
        model: The model's name as its maker calls it.
        dimensions: Length of a vector.
        version: Changes whenever the same text would get another vector.
    """

    provider: str
    model: str
    dimensions: int
    version: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}/{self.dimensions}/{self.version}"


@dataclass(frozen=True, slots=True)
class MemoryDraft:
    """A memory before it is stored.

    Attributes:
        user_id: Whose memory it is: a person, an agent, a team.
        text: What is remembered.
        speaker: Who said it.
        occurred_at: When it was said or happened (UTC); None means when it is stored.
        agent_id: The agent it came through.
        session_id: The conversation it belongs to.
        metadata: The caller's own keys.
        expires_at: From then on (UTC) it is not found any more; None never expires.
        idempotency_key: The caller's key of the request that makes it, if there is one.
    """

    user_id: str
    text: str
    speaker: str | None = None
    occurred_at: datetime | None = None
    agent_id: str | None = None
    session_id: str | None = None
    metadata: Metadata = field(default_factory=dict)
    expires_at: datetime | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """A stored memory; the attributes of `MemoryDraft`, and what storing adds.

    Attributes:
        id: Opaque; locates the memory's shard.
        created_at: When it was stored (UTC); never changes.
        updated_at: When its latest version was stored (UTC).
        version: 1 when created, one more for each change.
    """

    id: str
    user_id: str
    text: str
    speaker: str | None
    occurred_at: datetime
    agent_id: str | None
    session_id: str | None
    metadata: Metadata
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    version: int

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the memory must not be found any more at `now`."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class StoredMemory:
    """The outcome of adding one draft.

    Attributes:
        memory: What is stored now.
        is_new: False when the same text was there already in the same scope.
    """

    memory: Memory
    is_new: bool


@dataclass(frozen=True, slots=True)
class MemoryScope:
    """Which memories a search or a list may see.

    Attributes:
        user_id: Only this user's memories.
        agent_id: If given, only those of this agent.
        session_id: If given, only those of this conversation.
    """

    user_id: str
    agent_id: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class NearMemory:
    """A memory and how near it is to the vector asked for.

    Attributes:
        memory: The memory.
        cosine: Cosine similarity, -1 to 1, higher is nearer.
    """

    memory: Memory
    cosine: float


@dataclass(frozen=True, slots=True)
class ScoredMemory:
    """A search result.

    Attributes:
        memory: The memory.
        score: 0 to 1, higher is better.
        explanation: The parts of the score by name, when asked for.
    """

    memory: Memory
    score: float
    explanation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What an idempotency key is bound to.

    Attributes:
        fingerprint: Digest of the request that used the key first.
        is_spent: The memory that the request made has been deleted since.
    """

    fingerprint: str
    is_spent: bool


@dataclass(frozen=True, slots=True)
class ForgottenUser:
    """What forgetting a user removed (or would remove): counts of memories and old versions."""

    memories: int
    versions: int


@dataclass(frozen=True, slots=True)
class Document:
    """An ingested document, without its text.

    Attributes:
        id: The caller's, or one derived from the content.
        collection: The knowledge base it lives in.
        title: May be empty.
        source: Where it came from, for citations; None if unknown.
        metadata: The caller's own keys.
        revision: 1 when first ingested, one more for each changed ingest.
        chunks: How many chunks its current revision has.
        characters: Length of its stored text in code points.
        sha256: Hex digest of what was ingested; equal content is not ingested again.
        created_at: When it was first ingested (UTC).
        updated_at: When its current revision was (UTC).
    """

    id: str
    collection: str
    title: str
    source: str | None
    metadata: Metadata
    revision: int
    chunks: int
    characters: int
    sha256: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PageMark:
    """Where a page begins: `start` is the offset in the document's text, `page` counts from 1."""

    start: int
    page: int


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What a reader makes of a file.

    Attributes:
        text: The document's text; chunks cite offsets in it.
        title: The document's own title, or empty.
        pages: Where each page starts, in order; empty if the format has none.
        format: `markdown`, `text`, `code` or another name `chunking` knows structure for.
    """

    text: str
    title: str = ""
    pages: Sequence[PageMark] = ()
    format: str = "text"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document; `document_text[start:end] == text`.

    Attributes:
        index: Position among the document's chunks, from 0.
        start: First offset in the document's text, in code points.
        end: One past the last.
        text: The piece itself.
        heading: Path of headings above it, joined by " > "; may be empty.
        page: Page on which it starts, from 1; None if the format has no pages.
    """

    index: int
    start: int
    end: int
    text: str
    heading: str = ""
    page: int | None = None


class NearChunk(NamedTuple):
    """A chunk of a document's current revision, and its cosine similarity (-1 to 1) to a query."""

    document: Document
    chunk: Chunk
    cosine: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieval result: a chunk, its document and its score (0 to 1, higher is better)."""

    document: Document
    chunk: Chunk
    score: float
    explanation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """A knowledge base and its size."""

    name: str
    documents: int
    chunks: int
