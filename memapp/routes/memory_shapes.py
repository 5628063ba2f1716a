"""What memapp answers about memories: the shapes, and how records take them."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field

from memapp import rfc3339
from memapp.errors import InvalidInput
from memapp.records import ForgottenUser, Memory, ScoredMemory, StoredMemory
from memapp.routes.problems import field_errors
from memapp.routes.shapes import (
    Count,
    Explanation,
    FieldFault,
    MetadataShape,
    NextCursor,
    Score,
    Shape,
    Time,
)
from memapp.services.paging import Page

Members = dict[str, Any]


class MemoryShape(Shape):
    """A memory."""

    model_config = ConfigDict(title="Memory")

    id: str
    user_id: str
    text: str
    speaker: str | None
    occurred_at: Time
    agent_id: str | None
    session_id: str | None
    metadata: MetadataShape
    created_at: Time
    updated_at: Time
    expires_at: Time | None
    version: int = Field(ge=1)


class DeduplicatedShape(MemoryShape):
    """The memory that had the same text in the same scope already."""

    model_config = ConfigDict(title="DeduplicatedMemory")

    deduplicated: Literal[True]


class ScoredShape(MemoryShape):
    """A memory that answers a question."""

    model_config = ConfigDict(title="ScoredMemory")

    score: Score
    explanation: Explanation = Field({})


class VersionShape(MemoryShape):
    """A version of a memory; `updated_at` tells when it came about."""

    model_config = ConfigDict(title="MemoryVersion")

    changed: list[Literal["text", "metadata", "expires_at"]] = Field(
        description="What differs from the version before."
    )


class MemoryPageShape(Shape):
    """A page of memories, newest first."""

    model_config = ConfigDict(title="MemoryPage")

    data: list[MemoryShape]
    next_cursor: NextCursor


class FoundShape(Shape):
    """Memories that answer a question, best first."""

    model_config = ConfigDict(title="FoundMemories")

    data: list[ScoredShape]


class HistoryShape(Shape):
    """The versions of a memory, oldest first, the current one last."""

    model_config = ConfigDict(title="MemoryHistory")

    data: list[VersionShape]


class StoredItemShape(Shape):
    """A memory of a batch that is stored."""

    model_config = ConfigDict(title="StoredItem")

    status: Literal["created", "deduplicated"]
    memory: MemoryShape


class InvalidItemShape(Shape):
    """A memory of a batch that is not stored, because it breaks rules."""

    model_config = ConfigDict(title="InvalidItem")

    status: Literal["invalid"]
    errors: list[FieldFault]


class BatchShape(Shape):
    """What became of each memory of a batch, in the same order."""

    model_config = ConfigDict(title="BatchResults")

    results: list[StoredItemShape | InvalidItemShape]


class ForgottenCounts(Shape):
    """How many memories, and old versions of memories."""

    memories: Count
    versions: Count


class ForgottenShape(Shape):
    """What forgetting a user removed, or would remove."""

    model_config = ConfigDict(title="ForgottenUser")

    deleted: ForgottenCounts


def memory_members(memory: Memory) -> Members:
    """Return a memory as JSON members."""
    return {
        "id": memory.id,
        "user_id": memory.user_id,
        "text": memory.text,
        "speaker": memory.speaker,
        "occurred_at": rfc3339.write(memory.occurred_at),
        "agent_id": memory.agent_id,
        "session_id": memory.session_id,
        "metadata": memory.metadata,
        "created_at": rfc3339.write(memory.created_at),
        "updated_at": rfc3339.write(memory.updated_at),
        "expires_at": None if memory.expires_at is None else rfc3339.write(memory.expires_at),
        "version": memory.version,
    }


def stored_members(stored: StoredMemory) -> Members:
    """Return a memory, marked if it was there already."""
    members = memory_members(stored.memory)
    return members if stored.is_new else {**members, "deduplicated": True}


def page_members(page: Page[Memory]) -> Members:
    """Return a page of memories."""
    return {"data": [memory_members(m) for m in page.items], "next_cursor": page.next_cursor}


def found_members(found: Sequence[ScoredMemory]) -> Members:
    """Return search results."""
    return {"data": [_scored_members(scored) for scored in found]}


def history_members(versions: Sequence[Memory]) -> Members:
    """Return versions, each with what changed since the one before."""
    pairs = zip([None, *versions], versions, strict=False)
    return {"data": [{**memory_members(m), "changed": _changed(b, m)} for b, m in pairs]}


def batch_members(results: Sequence[StoredMemory | InvalidInput]) -> Members:
    """Return what became of each item of a batch."""
    return {"results": [_batch_item_members(result) for result in results]}


def forgotten_members(forgotten: ForgottenUser) -> Members:
    """Return the counts of what was removed."""
    counts = {"memories": forgotten.memories, "versions": forgotten.versions}
    return {"deleted": counts}


def _scored_members(scored: ScoredMemory) -> Members:
    members = {**memory_members(scored.memory), "score": scored.score}
    if scored.explanation is not None:
        members["explanation"] = scored.explanation
    return members


def _changed(before: Memory | None, after: Memory) -> list[str]:
    if before is None:
        return []
    names = ("text", "metadata", "expires_at")
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _batch_item_members(result: StoredMemory | InvalidInput) -> Members:
    if isinstance(result, InvalidInput):
        return {"status": "invalid", "errors": field_errors(result.errors)}
    status = "created" if result.is_new else "deduplicated"
    return {"status": status, "memory": memory_members(result.memory)}
