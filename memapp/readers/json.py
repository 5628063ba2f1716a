"""Read JSON: a line for each value, which names the path to it."""

import json
from collections.abc import Iterator, Sequence

from memapp.readers.decoding import decoded, unreadable
from memapp.readers.limits import joined
from memapp.readers.titles import clean_title
from memapp.records import ReadDocument

MAX_VALUES = 1_000_000
"""Values in one JSON text; each takes about a hundred bytes while it is read."""

MAX_DEPTH = 100
"""How deep values may be nested."""

MAX_PATH = 60
"""Characters of a path that are shown; of a longer one, its end."""


class _Members(list[tuple[str, object]]):
    """The members of an object, in order, repeated names included."""


class JsonReader:
    """Read JSON, or JSON Lines; `address.city: Bonn` is a line of what it becomes.

    Numbers stay as they are written. Objects in a list, and lines, are parted by blank lines.
    """

    formats: Sequence[str] = ("json", "jsonl", "ndjson")
    media_types: Sequence[str] = (
        "application/json",
        "application/ld+json",
        "application/geo+json",
        "application/jsonl",
        "application/x-jsonlines",
        "application/x-ndjson",
    )
    suffixes: Sequence[str] = (".json", ".jsonl", ".ndjson", ".geojson")

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        text = decoded(content)
        if _is_lines(text):
            return ReadDocument(joined(_each_line(text)), format="lines")
        try:
            value = _parsed(text)
        except json.JSONDecodeError as error:
            detail = f"is not JSON (line {error.lineno}, column {error.colno}: {error.msg})"
            raise unreadable(detail) from error
        return ReadDocument(joined(_lines(value, "", 1)), title=_title(value), format="lines")


def create() -> JsonReader:
    """Return the reader."""
    return JsonReader()


def _is_lines(text: str) -> bool:
    """Tell whether the first line is a value by itself, and more follows."""
    first, _, rest = text.lstrip().partition("\n")
    if not rest.strip():
        return False
    try:
        _parsed(first)
    except json.JSONDecodeError:
        return False
    return True


def _each_line(text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield from _lines(_parsed(line), "", 1)
        except json.JSONDecodeError as error:
            detail = f"is not JSON Lines (line {number}, column {error.colno}: {error.msg})"
            raise unreadable(detail) from error
        yield "\n"


def _parsed(text: str) -> object:
    if sum(map(text.count, ",[{")) > MAX_VALUES:
        detail = f"holds more than {MAX_VALUES:,} values; split it, or make it JSON Lines"
        raise unreadable(detail)
    try:
        value: object = json.loads(
            text, object_pairs_hook=_Members, parse_int=str, parse_float=str, parse_constant=str
        )
    except RecursionError as error:
        raise _too_deep() from error
    return value


def _lines(value: object, path: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, _Members):
        for name, member in value:
            yield from _lines(member, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list):
        yield from _list_lines(value, path, depth)
    elif value is not None and value != "":
        shown = path if len(path) <= MAX_PATH else f"…{path[-MAX_PATH:]}"
        yield f"{shown}: {_shown(value)}\n" if path else f"{_shown(value)}\n"


def _list_lines(values: list[object], path: str, depth: int) -> Iterator[str]:
    if not any(isinstance(value, list) for value in values):
        line = ", ".join(_shown(value) for value in values if value is not None)
        yield from _lines(line, path, depth)
        return
    for value in values:
        yield from _lines(value, path, depth + 1)
        yield "\n"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _title(value: object) -> str:
    for name, member in value if isinstance(value, _Members) else ():
        if name in {"title", "name"} and isinstance(member, str):
            return clean_title(member)
    return ""


def _too_deep() -> Exception:
    return unreadable(f"is nested deeper than {MAX_DEPTH} levels")
