"""Uploads: `multipart/form-data` read as strictly as JSON."""

from collections.abc import Iterator, Sequence

from flask import request
from werkzeug.datastructures import FileStorage

from memapp.errors import FieldError, InvalidInput
from memapp.routes import strict_json
from memapp.routes.limits import limits
from memapp.routes.parsing import malformed, refuse_encoding
from memapp.routes.problems import Refused

UPLOAD = "multipart/form-data"

_FILE = "file"
_MAX_PARTS = 32
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What Werkzeug makes of bytes that are no UTF-8."""


def form_values() -> dict[str, str | FileStorage]:
    """Return the parts of the multipart body of the request at hand: `file`, and texts.

    Raises:
        InvalidInput: a part is given twice, is not UTF-8, or is no file where one is due.
        Refused: the body is cut off, not multipart at all, or has a part without a name.
    """
    refuse_encoding()
    request.max_content_length = limits().MAX_UPLOAD_BYTES
    request.max_form_memory_size = limits().MAX_UPLOAD_BYTES
    request.max_form_parts = _MAX_PARTS
    texts, files = request.form.to_dict(flat=False), request.files.to_dict(flat=False)
    if not texts and not files:
        detail = "the multipart body has no parts; was it cut off, or is its boundary wrong?"
        raise Refused(malformed(detail))
    names: set[str | None] = {*texts, *files}
    if None in names:
        raise Refused(
            malformed("a part of the multipart body has no name; name it 'file', or a field")
        )
    faults = [*_text_faults(texts), *_file_faults(files)]
    if faults:
        raise InvalidInput(faults)
    first: dict[str, str | FileStorage] = {name: values[0] for name, values in texts.items()}
    return first | {name: values[0] for name, values in files.items()}


def _text_faults(texts: dict[str, list[str]]) -> Iterator[FieldError]:
    for name, values in texts.items():
        pointer = f"/{strict_json.token(name)}"
        if name == _FILE:
            yield FieldError(pointer, "must be a file: give its part a filename")
        yield from _repetition(pointer, values)
        if any(_REPLACEMENT in value for value in values):
            yield FieldError(pointer, "must be UTF-8, without U+FFFD")


def _file_faults(files: dict[str, list[FileStorage]]) -> Iterator[FieldError]:
    for name, values in files.items():
        pointer = f"/{strict_json.token(name)}"
        if name != _FILE:
            yield FieldError(pointer, "must not be a file; the file's part is called 'file'")
        yield from _repetition(pointer, values)


def _repetition(pointer: str, values: Sequence[object]) -> Iterator[FieldError]:
    if len(values) > 1:
        yield FieldError(pointer, "must not be given twice")
