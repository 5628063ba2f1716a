"""Turn the bytes of a text file into text, without guessing an encoding."""

import codecs

from memapp.errors import FieldError, InvalidInput

# Longest first: the mark of UTF-32 (little endian) begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(content: bytes) -> str:
    """Return a file's text: UTF-8, or what its byte order mark says.

    Raises:
        InvalidInput: it is neither, or holds NUL characters, which no text does; pointer `/file`.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-SIG")
        detail = (
            f"is not {name} text (at byte {error.start}); save it as UTF-8, or name its format "
            "if it is no text file"
        )
        raise unreadable(detail) from error
    if "\0" in text:
        detail = "holds NUL characters, so it is no text file; name its format"
        raise unreadable(detail)
    return text


def unreadable(detail: str) -> InvalidInput:
    """Return the error that a file cannot be read."""
    return InvalidInput([FieldError("/file", detail)])
