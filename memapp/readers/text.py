"""Read plain text."""

from collections.abc import Sequence

from memapp.readers.decoding import decoded
from memapp.records import ReadDocument


class TextReader:
    """Read plain text as it is, without a title."""

    formats: Sequence[str] = ("text", "txt")
    media_types: Sequence[str] = ("text/plain",)
    suffixes: Sequence[str] = (".txt", ".text", ".log")

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        return ReadDocument(decoded(content))


def create() -> TextReader:
    """Return the reader."""
    return TextReader()
