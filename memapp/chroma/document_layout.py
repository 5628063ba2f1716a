"""Where documents lie in Chroma: names of collections, and ids.

A knowledge base has two collections: its chunks, with their vectors; and one head for each
document, which says what of the chunks is current. Every ingest writes its chunks under ids of its
own, an attempt; the head names the attempt that counts, so that writing the head swaps revisions.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal

_NAME = re.compile(r"(doc|head)\.([^.]+)\.(.+)")


@dataclass(frozen=True, slots=True)
class CollectionName:
    """What a collection's name says: what it holds, whose it is, and the knowledge base."""

    kind: Literal["doc", "head"]
    tenant: str
    collection: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.tenant}.{self.collection}"


def parse_name(name: str) -> CollectionName | None:
    """Read the name of a collection of chunks or heads; None for any other collection."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return CollectionName("doc" if found[1] == "doc" else "head", found[2], found[3])


def document_key(document_id: str) -> str:
    """Return the id of a document's head, 32 hex digits."""
    return hashlib.sha256(document_id.encode()).hexdigest()[:32]


def new_attempt(revision: int) -> str:
    """Return a name for an attempt to write a document's revision of this number."""
    return f"{revision:08d}-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class ChunkId:
    """What the id of a chunk says.

    Attributes:
        key: Id of its document's head.
        attempt: The attempt that wrote it.
        index: Its position among the document's chunks, from 0.
    """

    key: str
    attempt: str
    index: int

    def __str__(self) -> str:
        return f"{attempt_id(self.key, self.attempt)}/{self.index}"

    @property
    def planned_revision(self) -> int:
        """The number its revision was to have when the attempt began."""
        return int(self.attempt.partition("-")[0])


def parse_chunk_id(raw: str) -> ChunkId:
    """Read the id of a chunk."""
    key, attempt, index = raw.split("/")
    return ChunkId(key, attempt, int(index))


def document_part(raw: str) -> str:
    """Return what begins the ids of all chunks of a document: the id of its head."""
    return raw.partition("/")[0]


def attempt_part(raw: str) -> str:
    """Return what begins the ids of all chunks of an attempt, as `attempt_id` gives it."""
    return raw.rpartition("/")[0]


def attempt_id(key: str, attempt: str) -> str:
    """Return a name for an attempt to write a document, among those of all documents."""
    return f"{key}/{attempt}"


def chunk_ids(key: str, attempt: str, count: int) -> list[str]:
    """Return the ids of all chunks of an attempt, in order."""
    return [str(ChunkId(key, attempt, index)) for index in range(count)]
