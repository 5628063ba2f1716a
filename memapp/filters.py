"""The filter language of searches and lists: its tree, its parser and its meaning.

A filter is `{"field": value}`, `{"field": {"op": value}}`, `{"and": [...]}`, `{"or": [...]}` or
`{"not": {...}}`; several keys in one object must all hold. `matches` is the definition of what a
filter means; a store may narrow with its own language first, but never lose a match.

Values compare within one kind: numbers with numbers, strings with strings, booleans with booleans,
times with times; across kinds nothing is equal and nothing is greater. A missing field equals
nothing, so `ne` and `nin` hold for it and every other operator but `exists: false` does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from memapp import rfc3339
from memapp.errors import FieldError, InvalidInput

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "exists"]
OPERATORS: tuple[str, ...] = get_args(Operator)

Scalar = str | int | float | bool | datetime

MAX_DEPTH = 8
MAX_CONDITIONS = 64
MAX_VALUES = 256


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field op value`; `value` is a tuple for `in` and `nin`, a bool for `exists`."""

    field: str
    op: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    """Holds if all of its parts do; without parts it holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Holds if one of its parts does."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Holds if its part does not."""

    part: "Filter"


Filter = Comparison | And | Or | Not

FieldKind = Literal["text", "time"]
"""What a built-in field holds; `metadata.*` fields hold any kind."""


def parse(raw: object, fields: Mapping[str, FieldKind], pointer: str = "/filter") -> Filter:
    """Read a filter as it came from JSON.

    Args:
        raw: The decoded JSON value.
        fields: The built-in fields that may be named besides `metadata.<key>`.
        pointer: Where the filter lies in the request, for error messages.

    Raises:
        InvalidInput: naming each fault's pointer, rule and mend.
    """
    reader = _Reader(fields)
    tree = reader.read(raw, pointer, depth=1)
    if reader.errors:
        raise InvalidInput(reader.errors)
    return tree


def matches(condition: Filter, value_of: Callable[[str], Any]) -> bool:
    """Tell whether a record satisfies a filter.

    Args:
        condition: The filter.
        value_of: Gives the value of a field, or None if the record lacks it.
    """
    match condition:
        case And(parts):
            return all(matches(part, value_of) for part in parts)
        case Or(parts):
            return any(matches(part, value_of) for part in parts)
        case Not(part):
            return not matches(part, value_of)
        case Comparison(field, op, value):
            return _holds(op, value_of(field), value)


def record_value(field: str, metadata: Mapping[str, Any], built_in: Callable[[str], Any]) -> Any:
    """Return a record's value for a field: from its metadata, or from `built_in`."""
    if field.startswith("metadata."):
        return metadata.get(field.removeprefix("metadata."))
    return built_in(field)


def _holds(op: Operator, actual: Any, wanted: Any) -> bool:
    if op == "exists":
        return (actual is not None) is wanted
    if op == "ne":
        return not _equal(actual, wanted)
    if op == "nin":
        return not any(_equal(actual, w) for w in wanted)
    if actual is None:
        return False
    if op == "eq":
        return _equal(actual, wanted)
    if op == "in":
        return any(_equal(actual, w) for w in wanted)
    if op == "contains":
        return _contains(actual, wanted)
    return _ordered(op, actual, wanted)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime):
        return "time"
    return "list"


def _equal(actual: Any, wanted: Any) -> bool:
    return _kind(actual) == _kind(wanted) != "list" and bool(actual == wanted)


def _contains(actual: Any, wanted: Any) -> bool:
    if isinstance(actual, str):
        return isinstance(wanted, str) and wanted in actual
    if isinstance(actual, Sequence):
        return any(_equal(item, wanted) for item in actual)
    return False


def _ordered(op: str, actual: Any, wanted: Any) -> bool:
    if _kind(actual) != _kind(wanted) or _kind(actual) in {"boolean", "list"}:
        return False
    if op == "gt":
        return bool(actual > wanted)
    if op == "gte":
        return bool(actual >= wanted)
    if op == "lt":
        return bool(actual < wanted)
    return bool(actual <= wanted)


class _Reader:
    """Parse one filter and collect its faults."""

    def __init__(self, fields: Mapping[str, FieldKind]) -> None:
        self.fields = fields
        self.errors: list[FieldError] = []
        self.conditions = 0

    def fault(self, pointer: str, detail: str) -> Filter:
        self.errors.append(FieldError(pointer, detail))
        return And(())

    def read(self, raw: object, pointer: str, depth: int) -> Filter:
        if not isinstance(raw, dict) or not raw:
            return self.fault(pointer, "must be an object with at least one condition")
        if depth > MAX_DEPTH:
            return self.fault(pointer, f"must not be nested deeper than {MAX_DEPTH} levels")
        parts = tuple(self.member(key, value, pointer, depth) for key, value in raw.items())
        return parts[0] if len(parts) == 1 else And(parts)

    def member(self, key: str, value: object, pointer: str, depth: int) -> Filter:
        here = f"{pointer}/{_escape(key)}"
        if key in {"and", "or"}:
            if not isinstance(value, list) or not value:
                return self.fault(here, "must be a non-empty list of filters")
            parts = tuple(self.read(v, f"{here}/{i}", depth + 1) for i, v in enumerate(value))
            return And(parts) if key == "and" else Or(parts)
        if key == "not":
            return Not(self.read(value, here, depth + 1))
        if not self.known(key):
            names = ", ".join([*self.fields, "metadata.<key>"])
            return self.fault(here, f"is not a field that can be filtered; use one of: {names}")
        if isinstance(value, dict):
            if not value:
                return self.fault(here, f"needs an operator: {', '.join(OPERATORS)}")
            compared = tuple(
                self.compare(key, op, v, f"{here}/{_escape(op)}") for op, v in value.items()
            )
            return compared[0] if len(compared) == 1 else And(compared)
        return self.compare(key, "eq", value, here)

    def known(self, key: str) -> bool:
        return key in self.fields or (key.startswith("metadata.") and len(key) > len("metadata."))

    def compare(self, field: str, op: str, value: object, pointer: str) -> Filter:
        self.conditions += 1
        if self.conditions == MAX_CONDITIONS + 1:
            return self.fault(pointer, f"a filter may hold at most {MAX_CONDITIONS} conditions")
        match op:
            case "exists":
                if not isinstance(value, bool):
                    return self.fault(pointer, "must be true or false")
                return Comparison(field, "exists", value)
            case "in" | "nin":
                if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
                    return self.fault(pointer, f"must be a list of 1 to {MAX_VALUES} values")
                values = [self.scalar(field, v, f"{pointer}/{i}") for i, v in enumerate(value)]
                return Comparison(field, op, tuple(v for v in values if v is not None))
            case "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "contains":
                scalar = self.scalar(field, value, pointer)
                return And(()) if scalar is None else Comparison(field, op, scalar)
            case _:
                return self.fault(
                    pointer, f"is not an operator; use one of: {', '.join(OPERATORS)}"
                )

    def scalar(self, field: str, value: object, pointer: str) -> Scalar | None:
        kind = self.fields.get(field)
        if kind == "time":
            moment = _time(value)
            if moment is None:
                self.fault(pointer, "must be an RFC 3339 time such as 2026-01-31T12:00:00Z")
            return moment
        if not isinstance(value, str | int | float | bool):
            self.fault(pointer, "must be a string, a number or a boolean")
            return None
        if kind == "text" and not isinstance(value, str):
            self.fault(pointer, "must be a string")
            return None
        return value


def _time(value: object) -> datetime | None:
    try:
        return rfc3339.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _escape(token: str) -> str:
    """Escape a JSON pointer token (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")
