"""What pydantic finds, in this house's words: the rule and the mend, never the value."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_KEY_MARK = "[key]"


def faults(error: ValidationError, model: type[BaseModel]) -> list[tuple[list[int | str], str]]:
    """Return where each fault of a part of a request lies, and what mends it.

    Args:
        error: What pydantic found.
        model: What the part was validated by.
    """
    return list(_faults(error, model))


def _faults(
    error: ValidationError, model: type[BaseModel]
) -> Iterator[tuple[list[int | str], str]]:
    for fault in error.errors(include_url=False, include_input=False):
        place = [part for part in fault["loc"] if part != _KEY_MARK]
        if fault["type"] == "extra_forbidden":
            yield place, f"is not known here; known are: {', '.join(_names(model)) or 'none'}"
        elif _KEY_MARK in fault["loc"]:
            yield place, f"has a name that {_message(fault)}"
        else:
            yield place, _message(fault)


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _message(fault: ErrorDetails) -> str:
    context = fault.get("ctx", {})
    if fault["type"] == "value_error":
        return str(context["error"])
    return _MESSAGES[fault["type"]](context)


def _always(message: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _: message


_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": _always("is required"),
    "model_type": _always("must be a JSON object"),
    "dict_type": _always("must be an object"),
    "list_type": _always("must be a list"),
    "string_type": _always("must be a string"),
    "bool_type": _always("must be true or false"),
    "int_type": _always("must be a whole number"),
    "float_type": _always("must be a number"),
    "string_pattern_mismatch": _always(
        "must be made of letters, digits, '.', '_' and '-', with a letter or digit at both ends "
        "and no two periods in a row"
    ),
    "is_instance_of": _always("must be a file"),
    "string_too_short": _always("must not be empty"),
    "string_too_long": lambda c: f"must have at most {c['max_length']} characters",
    "too_short": _always("must not be empty"),
    "too_long": lambda c: f"must have at most {c['max_length']} items",
    "greater_than_equal": lambda c: f"must be at least {c['ge']}",
    "less_than_equal": lambda c: f"must be at most {c['le']}",
    "literal_error": lambda c: f"must be {c['expected']}",
}
"""By pydantic's name of the fault; a test proves that the models know no other."""
