"""What services need from the outside, as protocols; their docstrings are the contracts.

Implementations: `memapp.chroma` (stores), `memapp.embedders`, `memapp.readers`, and the fakes
of the test suite. `tests/contracts` holds what every implementation must pass.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from memapp.filters import Filter
from memapp.records import (
    Chunk,
    Claim,
    CollectionSummary,
    Document,
    EmbedderIdentity,
    ForgottenUser,
    Memory,
    MemoryDraft,
    MemoryScope,
    NearChunk,
    NearMemory,
    ReadDocument,
    StoredMemory,
    Vector,
    Vectors,
)


class Clock(Protocol):
    """Tell the time."""

    def __call__(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class Embedder(Protocol):
    """Turn texts into vectors of unit length. Safe to use from many threads."""

    @property
    def identity(self) -> EmbedderIdentity:
        """What the vectors of this embedder may be compared with."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be stored.

        Returns:
            float32, shape (len(texts), dimensions), rows of unit length, in the order of `texts`.

        Raises:
            EmbedderUnavailable: the provider is down, too slow, or answers nonsense.
        """
        ...

    def embed_query(self, text: str) -> Vector:
        """Embed a question.

        Returns:
            float32, shape (dimensions,), of unit length.

        Raises:
            EmbedderUnavailable: the provider is down, too slow, or answers nonsense.
        """
        ...


class Reader(Protocol):
    """Turn the bytes of one kind of file into text."""

    @property
    def formats(self) -> Sequence[str]:
        """Short names callers may pass as `format`, for instance `("md", "markdown")`."""
        ...

    @property
    def media_types(self) -> Sequence[str]:
        """Media types it reads, lower case, without parameters."""
        ...

    @property
    def suffixes(self) -> Sequence[str]:
        """File name endings it reads, lower case, with the dot."""
        ...

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file.

        Args:
            content: The whole file.
            name: Its name, for messages and as a hint; may be empty.

        Raises:
            InvalidInput: the content cannot be read, with pointer `/file` and the mend.
        """
        ...


class MemoryStore(Protocol):
    """Keep memories, by tenant and user.

    What a method has acknowledged is seen by every later call in any process. Raises
    `StoreUnavailable` when the store cannot answer and `EmbedderMismatch` when it was written
    with another embedder. An expired memory is treated as absent by `add` and `get`.
    """

    def add(
        self, tenant: str, drafts: Sequence[MemoryDraft], vectors: Vectors
    ) -> list[StoredMemory]:
        """Store drafts that are not there yet.

        The same normalised text in the same scope (user, agent, session, speaker and, where
        given, occurred_at) is stored once, also when many processes add it at the same time:
        exactly one of them is told `is_new`.

        What is stored together is created a microsecond apart, in the order given: so the turns
        of a conversation keep their order where `occurred_at` says nothing of it.

        Args:
            tenant: Whose data it is.
            drafts: At least one.
            vectors: Shape (len(drafts), dimensions), same order.

        Returns:
            One outcome per draft, in the same order.
        """
        ...

    def get(self, tenant: str, memory_id: str) -> Memory | None:
        """Return the memory, or None if there is none or it has expired."""
        ...

    def revise(self, tenant: str, current: Memory, revised: Memory, vector: Vector | None) -> bool:
        """Replace `current` by `revised` and keep `current` as an old version.

        Args:
            tenant: Whose data it is.
            current: What the caller read.
            revised: Same id, version one higher.
            vector: Shape (dimensions,); None if and only if the text did not change.

        Returns:
            False, with nothing changed, if `current` is no longer what is stored.
        """
        ...

    def versions(self, tenant: str, memory: Memory) -> list[Memory]:
        """Return the old versions of a memory, oldest first, without the current one."""
        ...

    def delete(self, tenant: str, memory_id: str) -> bool:
        """Remove a memory and its versions; return whether there was one."""
        ...

    def view(self, tenant: str, scope: MemoryScope) -> "MemoryView":
        """Return a way to read a scope; it holds all that was acknowledged before this call."""
        ...

    def forget(self, tenant: str, user_id: str, *, dry_run: bool) -> ForgottenUser:
        """Remove everything kept for a user; with `dry_run` only count it."""
        ...

    def claim(self, tenant: str, key: str, fingerprint: str, user_id: str) -> Claim:
        """Bind an idempotency key to a request, first come first served.

        Args:
            tenant: Whose key it is.
            key: The caller's Idempotency-Key.
            fingerprint: Digest of the request.
            user_id: Whose memory the request makes; forgetting the user frees the key.

        Returns:
            What the key is bound to now; another fingerprint if another request came first.
        """
        ...

    def count(self, tenant: str | None) -> int:
        """Count memories of one tenant, or of all; may include expired and old versions."""
        ...

    def sweep(self, now: datetime) -> int:
        """Remove expired memories and idempotency keys of all tenants; return how many records."""
        ...


class Revision(Protocol):
    """A new revision of a document while it is being stored; nobody else sees it yet.

    One that is neither committed nor discarded, because its process died, is swept away. `add` and
    `commit` raise `Conflict` if its collection was dropped meanwhile.
    """

    def add(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Store the next chunks, in order; `vectors` has the shape (len(chunks), dimensions)."""
        ...

    def commit(self) -> Document:
        """Make the revision the current one, and remove the one before it.

        Returns:
            The document as it was stored; by a concurrent `commit`, if that had the same content.

        Raises:
            Conflict: a concurrent `commit` of other content is current instead, or the ingest
                paused for too long.
        """
        ...

    def discard(self) -> None:
        """Remove what was stored of it."""
        ...


class MemoryView(Protocol):
    """Read the memories of one scope, for the length of one request. Raises like its store."""

    def scan(self, condition: Filter | None) -> list[Memory]:
        """Return all memories of the scope, unordered, expired ones included.

        `condition` may be used to return less; memories that do not match it may be returned too.
        """
        ...

    def nearest(self, vector: Vector, limit: int, condition: Filter | None) -> list[NearMemory]:
        """Return the `limit` nearest memories of the scope, nearest first, expired ones included.

        `condition` may be used to return less; memories that do not match it may be returned too.
        Fewer than `limit` results mean that there are no more.
        """
        ...

    def containing(
        self, phrases: Sequence[str], vector: Vector, limit: int, *, condition: Filter | None
    ) -> list[NearMemory]:
        """Return up to `limit` memories whose text contains one of `phrases`, ignoring case.

        Each comes with its true cosine similarity to `vector`. Else like `nearest`, but in no
        order.
        """
        ...

    def known_speakers(self, names: Iterable[str]) -> set[str]:
        """Return those of `names` (lower case) that are or were speakers of the user's memories.

        Where nobody is known, the names need not be looked at.
        """
        ...


class DocumentStore(Protocol):
    """Keep documents and their chunks, by tenant and collection.

    A document has one current revision. Readers see it whole, or the one before it whole, also
    while it is being replaced and when the replacing process dies half-way. Raises
    `StoreUnavailable` and `EmbedderMismatch` like `MemoryStore`.
    """

    def get(self, tenant: str, collection: str, document_id: str) -> Document | None:
        """Return the document's current revision, or None."""
        ...

    def scan(self, tenant: str, collection: str) -> list[Document]:
        """Return all documents of a collection, unordered."""
        ...

    def begin(self, tenant: str, document: Document, text: str) -> Revision:
        """Start to store a new revision, making its collection if there is none.

        Args:
            tenant: Whose data it is.
            document: `revision`, `chunks` and `created_at` are set by the store.
            text: The whole text.

        Raises:
            Conflict: the collection was dropped in this moment.
        """
        ...

    def text(self, tenant: str, collection: str, document_id: str) -> str | None:
        """Return the stored text of the current revision, or None if there is no document."""
        ...

    def chunks(self, tenant: str, collection: str, document_id: str) -> list[Chunk] | None:
        """Return the current revision's chunks in order, or None if there is no document."""
        ...

    def delete(self, tenant: str, collection: str, document_id: str) -> bool:
        """Remove a document with all it has; return whether there was one."""
        ...

    def nearest(
        self, tenant: str, collection: str, vector: Vector, limit: int, condition: Filter | None
    ) -> list[NearChunk]:
        """Return up to `limit` nearest chunks of current revisions, nearest first.

        `condition` may be used to return less; chunks whose document does not match it may be
        returned too. Fewer than `limit` results mean that there are no more. Empty when there is
        no such collection.
        """
        ...

    def containing(
        self,
        tenant: str,
        collection: str,
        phrases: Sequence[str],
        vector: Vector,
        limit: int,
        *,
        condition: Filter | None,
    ) -> list[NearChunk]:
        """Return up to `limit` chunks whose text contains one of `phrases`, ignoring case.

        Each comes with its true cosine similarity to `vector`. Else like `nearest`.
        """
        ...

    def exists(self, tenant: str, collection: str) -> bool:
        """Tell whether there is such a collection, even an empty one."""
        ...

    def collections(self, tenant: str) -> list[CollectionSummary]:
        """Return the tenant's collections with their sizes, by name."""
        ...

    def drop(self, tenant: str, collection: str) -> bool:
        """Remove a collection with all documents; return whether there was one."""
        ...

    def count(self, tenant: str | None) -> Mapping[str, int]:
        """Count `documents` and `chunks` of one tenant, or of all.

        May include chunks that a sweep would remove.
        """
        ...

    def sweep(self, now: datetime) -> int:
        """Remove what dead or overtaken ingests left behind; return how many records."""
        ...
