"""What a process keeps of documents that it has read lately.

Only what never changes is kept: the chunks of an attempt, and the head that makes it current. Which
attempt is current is looked up in Chroma for every request.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from memapp.chroma.document_records import Head
from memapp.records import Chunk

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")

_CHUNK_BYTES = 16 * 2**20
_HEAD_BYTES = 2**20
# What CPython takes beside the characters: objects, their ids, a place among what is kept.
_BYTES_PER_CHUNK = 600
_BYTES_PER_HEAD = 2000


class Kept(Generic[Name, Value]):
    """Values by name, those used longest ago dropped first; safe for many threads."""

    def __init__(self, most_bytes: int, price: Callable[[Value], int]) -> None:
        """Keep nothing yet; values take together at most `most_bytes`, each as `price` tells."""
        self._lock = threading.Lock()
        self._values: OrderedDict[Name, Value] = OrderedDict()
        self._most_bytes = most_bytes
        self._price = price
        self._bytes = 0

    def find(self, names: Iterable[Name]) -> dict[Name, Value]:
        """Return those of the values that are kept."""
        found: dict[Name, Value] = {}
        with self._lock:
            for name in names:
                value = self._values.get(name)
                if value is not None:
                    self._values.move_to_end(name)
                    found[name] = value
        return found

    def keep(self, values: Mapping[Name, Value]) -> None:
        """Keep values, in place of others of the same names."""
        with self._lock:
            for name, value in values.items():
                before = self._values.pop(name, None)
                if before is not None:
                    self._bytes -= self._price(before)
                self._values[name] = value
                self._bytes += self._price(value)
            while self._bytes > self._most_bytes:
                self._bytes -= self._price(self._values.popitem(last=False)[1])


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
