"""The JSON Schema of filters, for the OpenAPI document; `memapp.filters` is what validates."""

from collections.abc import Mapping
from typing import Any

from memapp.filters import MAX_VALUES, FieldKind

JsonSchema = dict[str, Any]


def filter_schema(name: str, fields: Mapping[str, FieldKind]) -> JsonSchema:
    """Describe filters over `metadata.<key>` and built-in fields.

    Args:
        name: The component that this schema becomes; a filter holds filters.
        fields: The built-in fields.
    """
    itself = {"$ref": f"#/components/schemas/{name}"}
    several = {"type": "array", "items": itself, "minItems": 1}
    return {
        "title": name,
        "type": "object",
        "description": (
            "`{field: value}`, `{field: {operator: value}}`, `and`, `or`, `not`; several members "
            "must all hold. Fields: " + ", ".join([*fields, "metadata.<key>"]) + "."
        ),
        "minProperties": 1,
        "properties": {
            "and": several,
            "or": several,
            "not": itself,
            **{field: _condition(_values(kind)) for field, kind in fields.items()},
        },
        "patternProperties": {"^metadata\\..": _condition(_values(None))},
        "additionalProperties": False,
        "examples": [{"metadata.topic": "food", "metadata.stars": {"gte": 4}}],
    }


def _values(kind: FieldKind | None) -> JsonSchema:
    if kind == "time":
        return {"type": "string", "format": "date-time"}
    return {"type": "string" if kind == "text" else ["string", "number", "boolean"]}


def _condition(value: JsonSchema) -> JsonSchema:
    values = {"type": "array", "items": value, "minItems": 1, "maxItems": MAX_VALUES}
    single = ("eq", "ne", "gt", "gte", "lt", "lte", "contains")
    operators = {
        "type": "object",
        "minProperties": 1,
        "properties": {
            **dict.fromkeys(single, value),
            "in": values,
            "nin": values,
            "exists": {"type": "boolean"},
        },
        "additionalProperties": False,
    }
    return {"anyOf": [value, operators]}
