"""Memory stores as tests of this room open them."""

from datetime import UTC, datetime, timedelta

from memapp.chroma.cache_budget import Budget
from memapp.chroma.connection import Connection
from memapp.chroma.memories import ChromaMemories
from memapp.chroma.write_marks import WriteMarks
from memapp.ports import Clock
from memapp.records import EmbedderIdentity


def now() -> datetime:
    return datetime.now(UTC)


def open_memories(
    connection: Connection,
    identity: EmbedderIdentity,
    *,
    clock: Clock = now,
    shards: int = 1,
    cache: Budget | None = None,
    marks: WriteMarks | None = None,
    company: str = "",
    family: str | None = None,
) -> ChromaMemories:
    """Open a store; unless told otherwise, it keeps users from the first search on."""
    return ChromaMemories(
        connection,
        identity,
        clock,
        shards=shards,
        claim_lifetime=timedelta(hours=24),
        cache=cache or Budget(10_000_000, loads_at=1),
        marks=marks,
        company=company,
        family=family,
    )
