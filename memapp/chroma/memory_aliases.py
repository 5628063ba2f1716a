"""Lead from a text to a memory that has it and lies under another id than the text's own.

A text leads to one memory, though changes may have given it to several. Whoever takes it away from
that one, by a change or a deletion, first makes it lead to another one that has it, or the same
text would be stored once more.
"""

from collections.abc import Mapping
from typing import Any

from memapp.chroma import memory_layout as layout
from memapp.chroma.change_log import ChangeLog, NewRecord
from memapp.chroma.collection import Collection
from memapp.chroma.memory_records import Fields, StoredMemoryRecord, memories_of
from memapp.chroma.where import unstamp
from memapp.records import Memory

_LOOKED_AT = 16
"""Nearest memories among which another one of the same text is looked for."""


def alias(digest: str, memory: Memory, *, claimed_at: int, token: str | None = None) -> NewRecord:
    """Return the record that leads from a text to a memory.

    Args:
        digest: Of the text.
        memory: Where it leads.
        claimed_at: When whoever writes it set out; see `where.stamp`.
        token: Of the change that gives the memory this text.
    """
    return NewRecord(layout.alias_id(digest), pointer(memory, claimed_at=claimed_at, token=token))


def pointer(memory: Memory, *, claimed_at: int, token: str | None = None) -> Fields:
    """Return the metadata of a record that leads to a memory; see `alias` for the arguments."""
    fields: Fields = {
        "kind": "alias",
        "owner": memory.user_id,
        "target": memory.id,
        "claimed_at": claimed_at,
    }
    return fields if token is None else {**fields, "token": token}


def leads_to(found: Mapping[str, tuple[Mapping[str, Any], str]], digest: str, memory: str) -> bool:
    """Tell whether a text leads to a memory, by what was read."""
    one = found.get(layout.alias_id(digest))
    return one is not None and one[0]["target"] == memory


def hand_on(shard: Collection, log: ChangeLog, stored: StoredMemoryRecord, now: int) -> bool:
    """Make the text of a memory lead to another one that has it; False if there is none.

    Args:
        shard: Where both are.
        log: Through which it is written.
        stored: The memory that is going to lose its text.
        now: The time; see `where.stamp`.
    """
    digest, memory = stored.fields["digest"], stored.memory
    vectors = shard.get(ids=[memory.id], include=("embeddings",)).vectors
    if vectors is None or not len(vectors):
        return False
    records = shard.query(
        vectors[0],
        limit=_LOOKED_AT,
        where={"scope": memory.user_id},
        include=("metadatas", "documents"),
    )
    rows = zip(records.metadatas, records.documents, strict=True)
    others = memories_of(dict(zip(records.ids, rows, strict=True)))
    for one, other in others.items():
        has_it = other.fields["digest"] == digest and not other.memory.is_expired(unstamp(now))
        if has_it and one != memory.id:
            log.publish(shard, [alias(digest, other.memory, claimed_at=now)], [], renew=True)
            return True
    return False
