"""Read PDF files that hold text."""

import io
from collections.abc import Sequence
from typing import Any

from memapp.readers.apart import read_apart
from memapp.readers.decoding import unreadable
from memapp.readers.limits import joined
from memapp.readers.titles import clean_title
from memapp.records import PageMark, ReadDocument

MAX_PAGES = 10_000

_HEAD = 1024
"""How far into a file its mark may lie (ISO 32000-1, implementation note 13)."""


class PdfReader:
    """Read the text of a PDF, page by page; pictures of text are not recognised."""

    formats: Sequence[str] = ("pdf",)
    media_types: Sequence[str] = ("application/pdf", "application/x-pdf")
    suffixes: Sequence[str] = (".pdf",)

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        if b"%PDF-" not in content[:_HEAD]:
            detail = "is not a PDF file"
            raise unreadable(detail)
        return read_apart("memapp.readers.pdf:extract", content)


def create() -> PdfReader:
    """Return the reader."""
    return PdfReader()


def extract(content: bytes) -> ReadDocument:
    """Read a PDF in this process, which it may bring down.

    Raises:
        InvalidInput: it is encrypted, scanned, or has too many pages.
    """
    # Imported here, so that only the process that reads needs its time and memory.
    import pypdf  # noqa: PLC0415

    file = pypdf.PdfReader(io.BytesIO(content))
    if file.is_encrypted and not _is_opened(file):
        detail = "is encrypted; remove the password"
        raise unreadable(detail)
    if len(file.pages) > MAX_PAGES:
        detail = f"has more than {MAX_PAGES:,} pages; split it"
        raise unreadable(detail)
    parts: list[str] = []
    marks: list[PageMark] = []
    length = 0
    for number, page in enumerate(file.pages, start=1):
        text = page.extract_text().strip()
        if text:
            marks.append(PageMark(length, number))
            parts.append(f"{text}\n\n")
            length += len(parts[-1])
    if not parts:
        detail = "holds no text: it is empty or scanned; recognise its text (OCR) first"
        raise unreadable(detail)
    title = file.metadata.title if file.metadata else None
    return ReadDocument(joined(parts), title=clean_title(title or ""), pages=tuple(marks))


def _is_opened(file: Any) -> bool:
    """Try the empty password, with which many files are encrypted against changes only."""
    from pypdf.errors import DependencyError  # noqa: PLC0415 - as above

    try:
        return bool(file.decrypt(""))
    except (DependencyError, NotImplementedError):
        return False
