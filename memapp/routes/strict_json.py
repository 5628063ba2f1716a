"""JSON as RFC 8259 and RFC 7493 (I-JSON) mean it: nothing is guessed, rounded or dropped.

`read` decides whether bytes are JSON at all; `faults` finds the values that are JSON by grammar,
but that no two programs read alike: repeated names, numbers beyond 64 bits, lone surrogates.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from memapp.errors import FieldError

MAX_DEPTH = 32
"""Levels of objects and lists in one body; the deepest body of the API, a filter, needs 20."""

_INTEGERS = range(-(2**63), 2**63)
_LONGEST_INTEGER = len(str(-(2**63)))


class MalformedJson(ValueError):
    """The bytes are not JSON; the message says where and never repeats them."""


class _Repeated(dict[str, Any]):
    """An object that was written with some names more than once."""

    names: Sequence[str] = ()


class _HugeNumber:
    """A number with too many digits to be worth converting."""


def read(raw: bytes) -> Any:
    """Decode JSON bytes; values still need `faults`.

    Raises:
        MalformedJson: not UTF-8, a byte order mark, broken syntax, or nested deeper than
            `MAX_DEPTH`.
    """
    try:
        tree = _DECODER.decode(_text(raw))
    except json.JSONDecodeError as error:
        message = f"the body is not valid JSON: {_place(error)}"
        raise MalformedJson(message) from error
    except RecursionError as error:
        raise MalformedJson(_TOO_DEEP) from error
    _refuse_depth(tree)
    return tree


def faults(tree: Any, pointer: str = "") -> list[FieldError]:
    """Find the values that would be guessed at, each with its JSON pointer, in document order.

    Args:
        tree: What `read` returned, or a part of it.
        pointer: Where `tree` lies in the document.
    """
    return list(_walk(tree, pointer))


def token(name: str) -> str:
    """Escape a member name for a JSON pointer (RFC 6901 section 3); odd characters become `?`."""
    shown = "".join(c if c.isprintable() else "?" for c in name[:64])
    return shown.replace("~", "~0").replace("/", "~1")


def _text(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        message = "the body starts with a byte order mark; send UTF-8 without one"
        raise MalformedJson(message)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8 (byte {error.start})"
        raise MalformedJson(message) from error


def _place(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
        return "it ends too early"
    return f"line {error.lineno}, column {error.colno}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    counts = Counter(name for name, _ in pairs)
    repeated = _Repeated(members)
    repeated.names = [name for name, count in counts.items() if count > 1]
    return repeated


def _integer(digits: str) -> int | _HugeNumber:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else _HugeNumber()


# The names NaN, Infinity and -Infinity are no JSON, though Python's decoder knows them; they
# become not-a-number here, and `faults` says in which field.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_constant=lambda _: math.nan
)
_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH} levels"


def _refuse_depth(tree: Any) -> None:
    level = [tree] if isinstance(tree, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _containers_in(parent)]
        if not level:
            return
    raise MalformedJson(_TOO_DEEP)


def _containers_in(parent: Any) -> list[Any]:
    children = parent.values() if isinstance(parent, dict) else parent
    return [child for child in children if isinstance(child, dict | list)]


def _walk(value: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(value, dict):
        if isinstance(value, _Repeated):
            for name in value.names:
                yield FieldError(f"{pointer}/{token(name)}", "must not be given twice")
        for name, member in value.items():
            here = f"{pointer}/{token(name)}"
            if not _is_unicode(name):
                yield FieldError(here, "must have a name in Unicode text")
            yield from _walk(member, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, f"{pointer}/{index}")
    elif (fault := _fault_of(value)) is not None:
        yield FieldError(pointer, fault)


def _fault_of(scalar: Any) -> str | None:
    if isinstance(scalar, str):
        return None if _is_unicode(scalar) else "must be Unicode text, not half a surrogate pair"
    if isinstance(scalar, float):
        return None if math.isfinite(scalar) else "must be a finite number below 1.8e308"
    if isinstance(scalar, _HugeNumber) or (isinstance(scalar, int) and scalar not in _INTEGERS):
        return "must be a whole number that fits into 64 bits"
    return None


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
