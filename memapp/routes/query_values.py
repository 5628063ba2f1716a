"""The kinds of query parameters: everything comes as text and is read without guessing."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from memapp.errors import FieldError, InvalidInput
from memapp.filters import Filter
from memapp.routes import strict_json
from memapp.routes.fields import FilterOver, Line

POINTER = "?filter"
MAX_PAGE = 200
MAX_CURSOR_CHARACTERS = 1_024


def _whole(text: Any) -> Any:
    if isinstance(text, str) and not re.fullmatch("[0-9]{1,18}", text):
        message = "must be a whole number in decimal digits"
        raise ValueError(message)
    return int(text)


def _truth(text: Any) -> Any:
    if text not in {"true", "false", True, False}:
        message = "must be true or false"
        raise ValueError(message)
    return text in {"true", True}


PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_whole)]
"""How many items a page holds."""

Truth = Annotated[bool, BeforeValidator(_truth)]
"""`true` or `false`, in lower case."""

Cursor = Annotated[Line, Field(max_length=MAX_CURSOR_CHARACTERS)]
"""The `next_cursor` of the page before."""


@dataclass(frozen=True, slots=True)
class FilterText:
    """An annotation: a filter, written as JSON text."""

    over: FilterOver

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": self.over.reference,
            "examples": ['{"metadata.topic": "food"}'],
        }

    def parse(self, text: str) -> Filter:
        """Read a filter from the query string.

        Raises:
            InvalidInput: pydantic lets it pass; thus each fault keeps its own pointer.
        """
        try:
            tree = strict_json.read(text.encode())
        except strict_json.MalformedJson as error:
            detail = str(error).replace("the body", "the filter")
            raise InvalidInput([FieldError(POINTER, detail)]) from error
        if faults := strict_json.faults(tree, POINTER):
            raise InvalidInput(faults)
        return self.over.parse(tree, POINTER)
