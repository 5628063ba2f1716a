"""What a process keeps of documents that it has read lately.

Only what never changes is kept: the chunks of an attempt, and the head that makes it current. Which
attempt is current is looked up in Chroma for every request.
"""

from memapp.chroma.document_records import Head
from memapp.chroma.kept_values import Kept
from memapp.records import Chunk

_CHUNK_BYTES = 16 * 2**20
_HEAD_BYTES = 2**20
# What CPython takes beside the characters: objects, their ids, a place among what is kept.
_BYTES_PER_CHUNK = 600
_BYTES_PER_HEAD = 2000


class DocumentCache:
    """What one process keeps, of all knowledge bases: no two attempts ever have the same name.

    Attributes:
        chunks: By id.
        heads: By attempt.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.chunks: Kept[str, Chunk] = Kept(_CHUNK_BYTES, _chunk_bytes)
        self.heads: Kept[str, Head] = Kept(_HEAD_BYTES, _head_bytes)


def _chunk_bytes(chunk: Chunk) -> int:
    return _BYTES_PER_CHUNK + _text_bytes(chunk.text) + _text_bytes(chunk.heading)


def _head_bytes(head: Head) -> int:
    document = head.document
    return _BYTES_PER_HEAD + _text_bytes(head.tail) + _text_bytes(repr(document.metadata))


def _text_bytes(text: str) -> int:
    # A character outside Latin-1 takes two or four bytes.
    return len(text) * (1 if text.isascii() else 4)
