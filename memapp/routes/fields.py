"""The kinds of fields that requests are made of: each rule is written once, here.

Every kind validates and documents itself: pydantic takes both from the same annotation. Limits
that are settings travel as pydantic's validation context, and in the schema as `x-limit`, which
`openapi.py` replaces by the number of the app it speaks for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, cast

import orjson
from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from memapp import filters, rfc3339
from memapp.errors import FieldError, InvalidInput
from memapp.filters import FieldKind, Filter
from memapp.records import MetadataValue
from memapp.routes import strict_json
from memapp.routes.filter_schema import filter_schema
from memapp.routes.limits import Limits
from memapp.services.documents import DOCUMENT_FIELDS

MAX_METADATA_KEYS = 32
MAX_METADATA_KEY_CHARACTERS = 64
MAX_METADATA_TEXT_CHARACTERS = 2_000
MAX_METADATA_LIST_ITEMS = 64
MAX_METADATA_BYTES = 16_384
MAX_RESULTS = 100
MAX_TTL_SECONDS = 100 * 365 * 24 * 60 * 60
MAX_TITLE_CHARACTERS = 1_000
MAX_SOURCE_CHARACTERS = 2_000
MAX_FORMAT_CHARACTERS = 64
MAX_COLLECTION_CHARACTERS = 128

_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DEBRIS_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class LimitedBy:
    """An annotation: at most as many characters (or items) as a setting says."""

    setting: str
    of: Literal["characters", "items"] = "characters"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        keyword = "maxLength" if self.of == "characters" else "maxItems"
        return {**handler(schema), "x-limit": {keyword: self.setting}}

    def check(self, value: Any, info: core_schema.ValidationInfo) -> Any:
        """Return the value unless it is too long."""
        most: int = getattr(cast("Limits", info.context), self.setting)
        if len(value) > most:
            message = f"must have at most {most} {self.of} ({self.setting})"
            raise ValueError(message)
        return value


def without_default(schema: JsonSchemaValue) -> None:
    """Take the default out of a field's schema: leaving the field out has a meaning of its own."""
    schema.pop("default", None)


def _line(text: str) -> str:
    """Refuse what breaks logs, headers and URLs, and what cannot be told from another id."""
    if _BREAKS.search(text):
        message = "must not hold control characters or line breaks"
        raise ValueError(message)
    return _not_blank(text)


def _prose(text: str) -> str:
    """Allow tabs and line breaks; other C0 controls are debris of binary data."""
    return _not_blank(_without_debris(text))


def _not_blank(text: str) -> str:
    if not text.strip():
        message = "must not be blank"
        raise ValueError(message)
    return text


_DEBRIS = "must not hold control characters other than tab and line breaks"


def _has_debris(text: str) -> bool:
    return _DEBRIS_CHARACTERS.search(text) is not None


def _without_debris(text: str) -> str:
    if _has_debris(text):
        raise ValueError(_DEBRIS)
    return text


def _addressable(document_id: str) -> str:
    """Refuse the ids that would not survive as a part of a URL."""
    if document_id in {".", ".."} or document_id.endswith(("/text", "/chunks")):
        message = "must not be '.' or '..', nor end in '/text' or '/chunks'"
        raise ValueError(message)
    return document_id


Line = Annotated[str, Field(min_length=1), AfterValidator(_line)]
"""Text of one line, not blank."""

Identifier = Annotated[Line, LimitedBy("MAX_ID_CHARACTERS")]
"""An opaque id or a name."""

DocumentIdentifier = Annotated[Identifier, AfterValidator(_addressable)]
"""An id of the caller's; it may look like a path or a URL."""

CollectionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_COLLECTION_CHARACTERS,
        # Chroma's rule, and pydantic knows no look-ahead: before a period stands something else.
        pattern=r"^[A-Za-z0-9]((\.?[A-Za-z0-9_-])*\.?[A-Za-z0-9])?$",
    ),
]
"""The name of a knowledge base."""

Prose = Annotated[str, Field(min_length=1), AfterValidator(_prose)]
"""Text of any length, not blank."""

MemoryText = Annotated[Prose, LimitedBy("MAX_TEXT_CHARACTERS")]
QueryText = Annotated[Prose, LimitedBy("MAX_QUERY_CHARACTERS")]
Title = Annotated[Line, Field(max_length=MAX_TITLE_CHARACTERS)]
Source = Annotated[Line, Field(max_length=MAX_SOURCE_CHARACTERS)]


def _moment(value: Any) -> datetime:
    return rfc3339.parse(value if isinstance(value, str) else "")


Moment = Annotated[
    datetime,
    PlainValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]}),
]
"""A point in time: RFC 3339 with an offset."""


_KINDS: Mapping[type, str] = {str: "text", bool: "boolean", int: "number", float: "number"}


def _metadata_value(value: Any) -> MetadataValue:
    if isinstance(value, str):
        return _metadata_text(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return _metadata_list(value)
    message = "must be a string, a number, a boolean, or a non-empty list of one of these"
    raise ValueError(message)


def _metadata_list(values: list[Any]) -> MetadataValue:
    if not 1 <= len(values) <= MAX_METADATA_LIST_ITEMS:
        message = f"must be a list of 1 to {MAX_METADATA_LIST_ITEMS} values"
        raise ValueError(message)
    kinds = {_KINDS.get(type(value)) for value in values}
    if len(kinds) > 1 or None in kinds:
        message = "must be a list of strings, of numbers or of booleans, not a mixture"
        raise ValueError(message)
    return [_metadata_text(value) for value in values] if kinds == {"text"} else values


def _metadata_text(text: str) -> str:
    if len(text) > MAX_METADATA_TEXT_CHARACTERS:
        message = f"must have at most {MAX_METADATA_TEXT_CHARACTERS} characters"
        raise ValueError(message)
    return _without_debris(text)


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(metadata)) > MAX_METADATA_BYTES:
        message = f"must have at most {MAX_METADATA_BYTES} bytes, written as JSON"
        raise ValueError(message)
    return metadata


_SCALARS: list[JsonSchemaValue] = [
    {"type": "string", "maxLength": MAX_METADATA_TEXT_CHARACTERS},
    {"type": "number"},
    {"type": "boolean"},
]
_LISTS: list[JsonSchemaValue] = [
    {"type": "array", "items": scalar, "minItems": 1, "maxItems": MAX_METADATA_LIST_ITEMS}
    for scalar in _SCALARS
]

MetadataKey = Annotated[Line, Field(max_length=MAX_METADATA_KEY_CHARACTERS)]
MetadataFields = Annotated[
    dict[
        MetadataKey,
        Annotated[
            Any, PlainValidator(_metadata_value), WithJsonSchema({"anyOf": [*_SCALARS, *_LISTS]})
        ],
    ],
    Field(max_length=MAX_METADATA_KEYS, examples=[{"topic": "food", "stars": 5, "tags": ["tea"]}]),
    AfterValidator(_small),
]
"""The caller's own keys."""


MEMORY_FIELDS: Mapping[str, FieldKind] = {
    "speaker": "text",
    "occurred_at": "time",
    "created_at": "time",
    "updated_at": "time",
}
"""What a filter of memories may name besides `metadata.<key>`."""


@dataclass(frozen=True, slots=True, eq=False)
class FilterOver:
    """An annotation: a filter over `metadata.<key>` and some built-in fields.

    Attributes:
        name: The component of the OpenAPI document that describes such filters.
        fields: The built-in fields.
    """

    name: str
    fields: Mapping[str, FieldKind]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return self.reference

    def schema(self) -> JsonSchemaValue:
        """Return the JSON Schema of such filters."""
        return filter_schema(self.name, self.fields)

    @property
    def reference(self) -> JsonSchemaValue:
        """The JSON Schema that stands for such filters, until the document has its components."""
        return {"x-component": self.name}

    def parse(self, raw: Any, pointer: str = "/filter") -> Filter:
        """Read a filter as it came from JSON.

        Raises:
            InvalidInput: pydantic lets it pass, since it is no ValueError; thus each fault within
                the filter keeps its own pointer.
        """
        if faults := list(_debris_in(raw, pointer)):
            raise InvalidInput(faults)
        return filters.parse(raw, self.fields, pointer)


def _debris_in(tree: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(tree, dict):
        for name, member in tree.items():
            yield from _debris_in(name, f"{pointer}/{strict_json.token(name)}")
            yield from _debris_in(member, f"{pointer}/{strict_json.token(name)}")
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _debris_in(item, f"{pointer}/{index}")
    elif isinstance(tree, str) and _has_debris(tree):
        yield FieldError(pointer, _DEBRIS)


MEMORY_FILTER = FilterOver("MemoryFilter", MEMORY_FIELDS)
DOCUMENT_FILTER = FilterOver("DocumentFilter", DOCUMENT_FIELDS)
FILTERS = {over.name: over for over in (MEMORY_FILTER, DOCUMENT_FILTER)}
"""Every kind of filter, by its name."""
