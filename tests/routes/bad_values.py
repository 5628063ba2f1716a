"""Values that break a field's JSON Schema, and what no field may hold; written as raw JSON."""

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

MARK = "zqx"
"""Part of every bad string, so that a test can tell whether an answer repeats it."""

_OF_TYPE = {
    "string": f'"{MARK}"',
    "integer": "7",
    "number": "7.25",
    "boolean": "true",
    "object": f'{{"{MARK}": 1}}',
    "array": f'["{MARK}"]',
    "null": "null",
}
_UNREADABLE = {
    "not a number": "NaN",
    "infinity": "-Infinity",
    "beyond every float": "1e999",
    "beyond 64 bits": "9" * 30,
    "more digits than Python converts": "9" * 5000,
    "half a surrogate pair": f'"{MARK}\\ud800"',
    "a name given twice": '{"a": 1, "a": 2}',
}
_BROKEN = {
    "nested too deep": "[" * 40 + "]" * 40,
    "a bomb of brackets": "[" * 100_000,
    "a bomb of objects": '{"a":' * 50_000,
    "half a string": f'"{MARK}',
}


def bad_values(schema: Schema, components: dict[str, Schema]) -> Iterator[tuple[str, str]]:
    """Yield what a field must refuse: a description, and the value as JSON."""
    options = _options(schema, components)
    types = {name for option in options for name in _types(option)}
    for name, value in _OF_TYPE.items():
        if name not in types and not (name == "integer" and "number" in types):
            yield f"of type {name}", value
    yield from _UNREADABLE.items()
    for option in options:
        yield from _bad_strings(option)
        yield from _bad_numbers(option)
        yield from _bad_lists(option)


def broken_values() -> Iterator[tuple[str, str]]:
    """Yield what makes a whole body no JSON, or none that is read."""
    yield from _BROKEN.items()


def _options(schema: Schema, components: dict[str, Schema]) -> list[Schema]:
    if "$ref" in schema:
        return _options(components[schema["$ref"].rpartition("/")[2]], components)
    if "anyOf" in schema:
        return [o for option in schema["anyOf"] for o in _options(option, components)]
    return [schema]


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", list(_OF_TYPE))
    return [types] if isinstance(types, str) else types


def _bad_strings(schema: Schema) -> Iterator[tuple[str, str]]:
    if schema.get("type") != "string":
        return
    yield "empty", '""'
    yield "with a NUL", f'"{MARK}\\u0000"'
    yield "with a control character", f'"{MARK}\\u0007"'
    if "enum" in schema:
        return
    yield "blank", '" \\t "'
    if schema.get("format") == "date-time":
        yield "no time", f'"{MARK}"'
        yield "without an offset", '"2999-01-01T00:00:00"'
        yield "a day that does not exist", '"2999-02-30T00:00:00Z"'
        yield "before the year 1 in UTC", '"0001-01-01T00:00:00+14:00"'
        yield "after the year 9999 in UTC", '"9999-12-31T23:59:59-14:00"'
    if "maxLength" in schema:
        yield "too long", json.dumps(MARK + "x" * schema["maxLength"])
    if "pattern" in schema:
        yield "of other characters", f'"/{MARK} "'
        yield "with two periods in a row", f'"{MARK}..b"'
        yield "ending in a period", f'"{MARK}."'
        yield "ending in a dash", f'"{MARK}-"'


def _bad_numbers(schema: Schema) -> Iterator[tuple[str, str]]:
    if schema.get("type") not in {"integer", "number"}:
        return
    yield "a number as a string", '"1"'
    if schema["type"] == "integer":
        yield "a fraction", "1.5"
    if "minimum" in schema:
        yield "too small", str(schema["minimum"] - 1)
    if "maximum" in schema:
        yield "too large", str(schema["maximum"] + 1)


def _bad_lists(schema: Schema) -> Iterator[tuple[str, str]]:
    if schema.get("type") != "array":
        return
    yield "an empty list", "[]"
    if schema["items"].get("type") == "string":  # Objects in lists are validated one by one.
        yield "a list of null", "[null]"
        yield "a list of lists", f'[["{MARK}"]]'
    if "maxItems" in schema:
        yield "too many items", json.dumps([MARK] * (schema["maxItems"] + 1))
