"""Read Word, PowerPoint and Excel files; needs the extra `memapp[office]`."""

import io
import zipfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from xml.parsers import expat

from memapp.errors import ConfigurationError
from memapp.readers.apart import read_apart
from memapp.readers.decoding import unreadable
from memapp.readers.limits import joined
from memapp.readers.markdown import title_of
from memapp.records import ReadDocument

MAX_UNPACKED = 200_000_000
"""Bytes that all parts of a file may have together, unpacked."""

MAX_RATIO = 200
"""How many times its packed size a part may have; XML of real documents stays below 100."""

MAX_PARTS = 10_000
MAX_DEPTH = 256
"""How deep the elements of a part may be nested; libxml2's own limit."""

_SMALL = 1_000_000
"""Bytes up to which the ratio does not matter."""

_KINDS = {"word/": ".docx", "ppt/": ".pptx", "xl/": ".xlsx"}


class OfficeReader:
    """Read Office Open XML files as Markdown."""

    formats: Sequence[str] = ("docx", "pptx", "xlsx")
    media_types: Sequence[str] = (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    )
    suffixes: Sequence[str] = (".docx", ".pptx", ".xlsx")

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        return read_apart("memapp.readers.office:extract", content)


def create() -> OfficeReader:
    """Return the reader.

    Raises:
        ConfigurationError: markitdown is not installed.
    """
    if find_spec("markitdown") is None:
        fault = "READERS: 'office' needs markitdown; pip install 'memapp[office]', or leave it out"
        raise ConfigurationError(fault)
    return OfficeReader()


def extract(content: bytes) -> ReadDocument:
    """Read an Office file in this process, which it may bring down.

    Raises:
        InvalidInput: it is no Office file, is encrypted, or is made to do harm.
    """
    kind = _checked_kind(content)
    # Imported here, so that only the process that reads needs its time and memory.
    from markitdown import DocumentConverter, StreamInfo, converters  # noqa: PLC0415

    # Not by markitdown's own choice of converter: it would list what an unknown archive holds.
    classes: dict[str, Callable[[], DocumentConverter]] = {
        ".docx": converters.DocxConverter,
        ".pptx": converters.PptxConverter,
        ".xlsx": converters.XlsxConverter,
    }
    converted = classes[kind]().convert(io.BytesIO(content), StreamInfo(extension=kind))
    text = joined([converted.markdown]).strip()
    return ReadDocument(text, title=title_of(text), format="markdown")


def _checked_kind(content: bytes) -> str:
    """Return the suffix for what a file is, once it is known to be harmless."""
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        detail = "is encrypted, or of an Office before 2007; save it anew without a password"
        raise unreadable(detail)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            _check_sizes(parts)
            for part in parts:
                if part.filename.endswith((".xml", ".rels", ".vml")):
                    _check_xml(archive, part)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        detail = "is damaged or encrypted; save it anew"
        raise unreadable(detail) from error
    for folder, kind in _KINDS.items():
        if any(part.filename.startswith(folder) for part in parts):
            return kind
    detail = "is a ZIP archive, but no Word, PowerPoint or Excel file"
    raise unreadable(detail)


def _check_sizes(parts: Sequence[zipfile.ZipInfo]) -> None:
    unpacked = sum(part.file_size for part in parts)
    is_bomb = any(part.file_size > max(_SMALL, MAX_RATIO * part.compress_size) for part in parts)
    if is_bomb or unpacked > MAX_UNPACKED or len(parts) > MAX_PARTS:
        detail = f"unpacks to far more than its size, or more than {MAX_UNPACKED:,} bytes"
        raise unreadable(detail)


def _check_xml(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse document types, which entities need, and deep nesting; neither is in real files."""
    depth = 0

    def refuse(*_: object) -> None:
        detail = "declares a document type in its XML, which Office files do not"
        raise unreadable(detail)

    def enter(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            detail = f"nests XML deeper than {MAX_DEPTH} levels"
            raise unreadable(detail)

    def leave(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = enter
    parser.EndElementHandler = leave
    try:
        with archive.open(part) as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        detail = "is damaged: a part of it is no XML; save it anew"
        raise unreadable(detail) from error
