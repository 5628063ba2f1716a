"""Take apart the identifiers of program code: camelCase, PascalCase and snake_case."""

import re

# Where a part ends: parse_HTTPBody2Text -> parse HTTP Body2 Text.
_PART_END = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"\w+")
# Prose has semicolons too, but seldom at the end of a line.
_CODE_MARKS = ("{", "}", "=", "<", ">", "_", ";\n")
# Share of these marks among the characters that are no spaces: hardly any in prose.
_SHARE_IN_CODE = 0.005


def identifier_parts(word: str) -> list[str]:
    """Return the parts of an identifier, in order; of any other word, the word itself."""
    return [part for part in _PART_END.split(word) if part] or [word]


def looks_like_code(text: str) -> bool:
    """Tell whether a text is program code rather than prose."""
    marks = sum(map(text.count, _CODE_MARKS))
    return marks > _SHARE_IN_CODE * sum(map(len, text.split()))


def with_identifiers_spelled_out(text: str) -> str:
    """Return a text with each identifier as its parts, with spaces between."""
    return _WORD.sub(lambda match: " ".join(identifier_parts(match[0])), text)
