"""Remove the chunks that dead or overtaken ingests left behind in a knowledge base."""

from collections.abc import Mapping
from datetime import datetime

from memapp.chroma.document_layout import ChunkId, parse_chunk_id
from memapp.chroma.document_shelf import Shelf
from memapp.chroma.where import stamp


def remove_leftovers(shelf: Shelf, written_before: datetime) -> int:
    """Remove attempts that are not current and were last written to before a time.

    Args:
        shelf: The knowledge base.
        written_before: An attempt that was written to since then may still become current.

    Returns:
        How many chunks were removed.
    """
    expected = sum(head.document.chunks for head in shelf.all_heads().values())
    if shelf.chunks.count() == expected:
        return 0
    # The heads are read after the ids: what became current in between is spared.
    ids = [parse_chunk_id(raw) for raw in shelf.chunks.get().ids]
    heads = shelf.all_heads()
    current = {(key, head.attempt) for key, head in heads.items()}
    leftover = [one for one in ids if (one.key, one.attempt) not in current]
    last_written = _last_written(shelf, leftover)
    dead = [
        str(one)
        for one in leftover
        if last_written.get(one.attempt, stamp(written_before)) < stamp(written_before)
    ]
    shelf.chunks.delete(dead)
    return len(dead)


def _last_written(shelf: Shelf, chunks: list[ChunkId]) -> Mapping[str, int]:
    """Return when each attempt was last written to, as `stamp` gives it."""
    found = shelf.chunks.get(ids=[str(one) for one in chunks], include=("metadatas",))
    last: dict[str, int] = {}
    for raw, fields in zip(found.ids, found.metadatas, strict=True):
        attempt = parse_chunk_id(raw).attempt
        last[attempt] = max(last.get(attempt, 0), fields["written"])
    return last
