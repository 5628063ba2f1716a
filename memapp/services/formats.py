"""Find the reader for a file: by what the caller says, by its name, or by its first bytes."""

import codecs
import re
from collections.abc import Sequence
from pathlib import PurePath

from memapp.errors import FieldError, InvalidInput
from memapp.ports import Reader

_UNTOLD = frozenset({"text/plain", "application/octet-stream", "binary/octet-stream"})
"""Media types that clients send when they do not know better; a known suffix tells more."""

_SNIFFED = 4096
_KNOWN_BY_MARK = frozenset({"pdf", "docx"})
_READABLE_AS_TEXT = frozenset({"html", "markdown"})
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)\b", re.I | re.S)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""How texts begin that may hold NUL bytes; the mark of UTF-32 (little endian) begins like the
first."""

_MARKDOWN = re.compile(rb"(?:\A|\n\r?\n)(?:#{1,6} \S|```|~~~)")


def chosen_reader(
    readers: Sequence[Reader],
    content: bytes,
    *,
    format_name: str | None,
    media_type: str | None,
    name: str,
    is_text: bool = False,
) -> Reader:
    """Return the reader for a file.

    What counts, in this order: the format by name; a telling media type; the suffix of the file's
    name; the media type; what the content looks like.

    Args:
        readers: Of several that fit, the first is taken.
        content: The whole file.
        format_name: As the caller chose it; None finds out.
        media_type: As the caller declared it.
        name: The file's name; may be empty.
        is_text: The caller sent characters, not a file; they may well begin as a file would.

    Raises:
        InvalidInput: no reader has this format (pointer `/format`), or none can read what the
            content is (pointer `/file`).
    """
    if format_name is not None:
        return _by_format(readers, format_name.lower())
    kind = (media_type or "").partition(";")[0].strip().lower()
    suffix = PurePath(name).suffix.lower()
    by_kind = next((r for r in readers if kind in r.media_types), None)
    by_suffix = next((r for r in readers if suffix and suffix in r.suffixes), None)
    if by_kind is not None and kind not in _UNTOLD:
        return by_kind
    if by_suffix is not None:
        return by_suffix
    return _by_content(readers, content, is_text=is_text)


def _by_format(readers: Sequence[Reader], name: str) -> Reader:
    for reader in readers:
        if name in reader.formats:
            return reader
    detail = f"is not a format; use one of: {_known(readers)}"
    raise InvalidInput([FieldError("/format", detail)])


def _known(readers: Sequence[Reader]) -> str:
    return ", ".join(sorted(one for reader in readers for one in reader.formats))


def _by_content(readers: Sequence[Reader], content: bytes, *, is_text: bool) -> Reader:
    if _is_binary(content):
        detail = f"is neither text nor of a format that this server reads: {_known(readers)}"
        raise InvalidInput([FieldError("/file", detail)])
    looks = _look(content[:_SNIFFED])
    if is_text and looks in _KNOWN_BY_MARK and not _CONTROLS.search(content):
        looks = "text"
    for wanted in (looks, "text") if looks in _READABLE_AS_TEXT else (looks,):
        for reader in readers:
            if wanted in reader.formats:
                return reader
    detail = (
        f"looks like {looks}, which this server has no reader for; it reads {_known(readers)} "
        "(its setting READERS)"
    )
    raise InvalidInput([FieldError("/file", detail)])


def _is_binary(content: bytes) -> bool:
    """Tell whether a file is certainly no text and begins like nothing that has a reader."""
    beginning = content[:_SNIFFED]
    if beginning.startswith(_WIDE) or _look(beginning) in _KNOWN_BY_MARK:
        return False
    if b"\0" in beginning:
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        # Without control characters it may be text in an old encoding; its reader says so.
        return _CONTROLS.search(beginning) is not None
    return False


def _look(beginning: bytes) -> str:
    """Return the name of the format that a file seems to have, from how it begins."""
    if beginning.lstrip().startswith(b"%PDF-"):
        return "pdf"
    if beginning.startswith(b"PK\x03\x04"):
        return "docx"
    if _HTML.match(beginning):
        return "html"
    return "markdown" if _MARKDOWN.search(beginning) else "text"
