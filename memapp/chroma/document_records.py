"""Documents and chunks as Chroma keeps them.

A head is a JSON text, which comes back exactly as it was given. A chunk's text is its record's
document; what is needed to cite it, to embed it again and to filter by it is metadata. The text
between chunks is kept with the chunk that follows it, so that the whole text can be put together.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memapp.chroma.document_layout import ChunkId, chunk_ids, document_key, parse_chunk_id
from memapp.chroma.memory_records import OWN_PREFIX
from memapp.chroma.where import stamp, stored, unstamp
from memapp.ranking import passage_embedding_text
from memapp.records import Chunk, Document

Fields = dict[str, Any]
"""Chroma metadata of one record."""


@dataclass(frozen=True, slots=True)
class Former:
    """A former revision of a document, of which there may still be chunks.

    Attributes:
        attempt: Which chunks were its own.
        chunks: How many.
        committed_at: When it became current (UTC).
    """

    attempt: str
    chunks: int
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Head:
    """The current revision of a document.

    Attributes:
        document: The document.
        attempt: Which chunks are its own.
        tail: Its text after the last chunk.
        committed_at: When it became current (UTC).
        is_atomic: Whether all its chunks became visible at once.
        former: The revisions before it that are not removed yet, oldest first.
    """

    document: Document
    attempt: str
    tail: str
    committed_at: datetime
    is_atomic: bool
    former: Sequence[Former] = ()

    @property
    def key(self) -> str:
        """The id of its record."""
        return document_key(self.document.id)

    @property
    def chunk_ids(self) -> list[str]:
        """The ids of its chunks, in order."""
        return chunk_ids(self.key, self.attempt, self.document.chunks)

    @property
    def past(self) -> list[Former]:
        """What the next revision will have before it, oldest first."""
        own = Former(self.attempt, self.document.chunks, self.committed_at)
        return [*self.former, own]

    def ids_of(self, former: Iterable[Former]) -> list[str]:
        """Return the ids of the chunks of former revisions."""
        return [id_ for one in former for id_ in chunk_ids(self.key, one.attempt, one.chunks)]


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it lies in its collection.

    Attributes:
        id: Says which attempt it belongs to.
        chunk: The chunk.
        gap: The text between the chunk before and this one.
    """

    id: ChunkId
    chunk: Chunk
    gap: str


def encode_head(head: Head) -> tuple[Fields, str]:
    """Return a head's metadata and its document."""
    document = head.document
    content = {
        "id": document.id,
        "title": document.title,
        "source": document.source,
        "metadata": dict(document.metadata),
        "revision": document.revision,
        "characters": document.characters,
        "sha256": document.sha256,
        "created_at": stamp(document.created_at),
        "updated_at": stamp(document.updated_at),
        "tail": head.tail,
        "committed_at": stamp(head.committed_at),
        "is_atomic": head.is_atomic,
        "former": [[one.attempt, one.chunks, stamp(one.committed_at)] for one in head.former],
    }
    # Always the same keys: Chroma merges metadata with what is there.
    return {"attempt": head.attempt, "chunks": document.chunks}, json.dumps(content)


def decode_head(collection: str, fields: Mapping[str, Any], content: str) -> Head:
    """Return the head that `encode_head` made a record of."""
    kept = json.loads(content)
    document = Document(
        id=kept["id"],
        collection=collection,
        title=kept["title"],
        source=kept["source"],
        metadata=kept["metadata"],
        revision=kept["revision"],
        chunks=fields["chunks"],
        characters=kept["characters"],
        sha256=kept["sha256"],
        created_at=unstamp(kept["created_at"]),
        updated_at=unstamp(kept["updated_at"]),
    )
    return Head(
        document,
        attempt=fields["attempt"],
        tail=kept["tail"],
        committed_at=unstamp(kept["committed_at"]),
        is_atomic=kept["is_atomic"],
        former=tuple(
            Former(attempt, chunks, unstamp(committed_at))
            for attempt, chunks, committed_at in kept["former"]
        ),
    )


def encode_chunk(document: Document, chunk: Chunk, gap: str, written_at: datetime) -> Fields:
    """Return a chunk's metadata."""
    fields: Fields = {
        "start": chunk.start,
        "end": chunk.end,
        "heading": chunk.heading or None,
        "page": chunk.page,
        "gap": gap or None,
        "title": document.title,
        "source": document.source,
        "written": stamp(written_at),
    }
    for name, value in document.metadata.items():
        if isinstance(value, str | int | float):
            fields[OWN_PREFIX + name] = stored(value)
    return {name: value for name, value in fields.items() if value is not None}


def decode_chunk(raw_id: str, fields: Mapping[str, Any], text: str) -> StoredChunk:
    """Return the chunk that `encode_chunk` made a record of."""
    chunk_id = parse_chunk_id(raw_id)
    chunk = Chunk(
        index=chunk_id.index,
        start=fields["start"],
        end=fields["end"],
        text=text,
        heading=fields.get("heading", ""),
        page=fields.get("page"),
    )
    return StoredChunk(chunk_id, chunk, fields.get("gap", ""))


def columns_of(field: str) -> Sequence[str]:
    """Return the metadata key, if any, by which Chroma can filter chunks by a document's field."""
    if field.startswith("metadata."):
        return [OWN_PREFIX + field.removeprefix("metadata.")]
    return [field] if field in {"title", "source"} else []


def embedded_text(fields: Mapping[str, Any], text: str) -> str:
    """Return what the embedder must see of a chunk, from its metadata and text."""
    return passage_embedding_text(fields["title"], fields.get("heading", ""), text)


def whole_text(chunks: Sequence[StoredChunk], tail: str) -> str:
    """Put a document's text together from all its chunks, in order."""
    parts: list[str] = []
    end = 0
    for stored_chunk in chunks:
        chunk = stored_chunk.chunk
        parts += [stored_chunk.gap, chunk.text[max(0, end - chunk.start) :]]
        end = max(end, chunk.end)
    return "".join([*parts, tail])
