"""Memories as Chroma keeps them: scalars in metadata, the text as the document.

The caller's metadata is kept twice: as one JSON text, which comes back exactly as it was given, and
flattened under `x.`, so that Chroma can filter by it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memapp.chroma.bundling import MOMENT
from memapp.chroma.where import stamp, stored, unstamp
from memapp.records import Memory, Metadata, MetadataValue

OWN_PREFIX = "x."

_COLUMNS = {
    "speaker": ("speaker",),
    "occurred_at": ("occurred", MOMENT),
    "created_at": ("created", MOMENT),
    "updated_at": ("updated", MOMENT),
}

Fields = dict[str, Any]
"""Chroma metadata of one record."""


@dataclass(frozen=True, slots=True)
class Making:
    """What is known of how a memory was made, beside the memory itself.

    Attributes:
        digest: Of its text in its scope.
        token: Names the write, so that the winner of a race can be told.
        is_timed: Whether `occurred_at` was given, and so is part of the scope.
        claim: Id, in the ledger, of the idempotency key that made it.
    """

    digest: str
    token: str
    is_timed: bool
    claim: str | None


def encode(memory: Memory, making: Making) -> Fields:
    """Return the Chroma metadata of a live memory; its text goes into the document."""
    fields: Fields = {
        "scope": memory.user_id,
        "agent": memory.agent_id,
        "session": memory.session_id,
        "speaker": memory.speaker,
        "occurred": stamp(memory.occurred_at),
        "created": stamp(memory.created_at),
        "updated": stamp(memory.updated_at),
        "expires": None if memory.expires_at is None else stamp(memory.expires_at),
        "version": memory.version,
        "digest": making.digest,
        "token": making.token,
        "timed": making.is_timed,
        "claim": making.claim,
        "metadata": json.dumps(memory.metadata) if memory.metadata else None,
    }
    fields |= {f"{OWN_PREFIX}{key}": _filterable(value) for key, value in memory.metadata.items()}
    return {key: value for key, value in fields.items() if value is not None}


def decode(memory_id: str, fields: Mapping[str, Any], text: str) -> Memory:
    """Return the memory that `encode` made a record of."""
    expires = fields.get("expires")
    return Memory(
        id=memory_id,
        user_id=fields["scope"] if "scope" in fields else fields["owner"],
        text=text,
        speaker=fields.get("speaker"),
        occurred_at=unstamp(fields["occurred"]),
        agent_id=fields.get("agent"),
        session_id=fields.get("session"),
        metadata=_metadata(fields),
        created_at=unstamp(fields["created"]),
        updated_at=unstamp(fields["updated"]),
        expires_at=None if expires is None else unstamp(expires),
        version=fields["version"],
    )


def making_of(fields: Mapping[str, Any], *, digest: str, token: str) -> Making:
    """Return how a stored memory was made, for its next version with another text or write."""
    return Making(digest, token, is_timed=fields["timed"], claim=fields.get("claim"))


def encode_version(memory: Memory, *, token: str, claimed_at: int) -> Fields:
    """Return the metadata of an old version; it names its owner, but is in no scope.

    Args:
        memory: The version as it was.
        token: Of the write that replaces it.
        claimed_at: When that write set out (microseconds since 1970).
    """
    fields = encode(memory, Making(digest="", token=token, is_timed=False, claim=None))
    dropped = {"scope", "digest", "timed"}
    kept = {k: v for k, v in fields.items() if k not in dropped and not k.startswith(OWN_PREFIX)}
    return kept | {"kind": "version", "owner": memory.user_id, "claimed_at": claimed_at}


@dataclass(frozen=True, slots=True)
class StoredMemoryRecord:
    """A memory as it lies in its shard, with all fields Chroma keeps of it."""

    memory: Memory
    fields: Mapping[str, Any]


def memories_of(
    found: Mapping[str, tuple[Mapping[str, Any], str]],
) -> dict[str, StoredMemoryRecord]:
    """Return those of the records found that are memories, by id."""
    return {
        one: StoredMemoryRecord(decode(one, fields, text), fields)
        for one, (fields, text) in found.items()
        if "scope" in fields
    }


def replacing(new: Fields, old: Mapping[str, Any]) -> Fields:
    """Return `new` with a None for each key of `old` that is gone.

    Chroma's update and upsert merge metadata; a key is removed by giving None.
    """
    return {**dict.fromkeys(old.keys() - new.keys()), **new}


def columns_of(field: str) -> Sequence[str]:
    """Return the metadata keys by which Chroma can filter by a field of the filter language."""
    if field.startswith("metadata."):
        return [OWN_PREFIX + field.removeprefix("metadata.")]
    return _COLUMNS.get(field, ())


def _filterable(value: MetadataValue) -> Any:
    return stored(value) if isinstance(value, str | int | float) else None


def _metadata(fields: Mapping[str, Any]) -> Metadata:
    raw = fields.get("metadata")
    if raw is None:
        return {}
    metadata: Metadata = json.loads(raw)
    return metadata
