"""Find what a query means literally: quoted phrases, identifiers, codes, numbers, proper names.

A vector hardly tells such strings apart, so texts that contain them are looked up exactly.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

_QUOTED = re.compile(
    r"\"([^\"\n]{2,200})\"|“([^”\n]{2,200})”|«([^»\n]{2,200})»|「([^」\n]{1,200})」"
    r"|`([^`\n]{2,200})`|(?<!\w)'([^'\n]{2,200})'(?!\w)"
)
# A word with what holds codes, paths, addresses and versions together inside.
_TOKEN = re.compile(r"[@#$/]?\w(?:[\w\-./:@#+&'\u2019]*[\w+#])?(?:\(\))?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s)", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['\u2019]s?$")
_SHORTEST = 3
_MOST = 8
_REMEMBERED = 64


def exact_phrases(query: str, *, without: Collection[str] = ()) -> list[str]:
    """Return up to eight strings of a query to look up literally, those quoted first.

    Args:
        query: The question, as it was asked.
        without: Names in lower case that are known speakers and so tell too little.
    """
    return [phrase for phrase in _phrases_of(query) if phrase.lower() not in without][:_MOST]


@lru_cache(_REMEMBERED)
def _phrases_of(query: str) -> tuple[str, ...]:
    """Return all strings to look up; a retrieval asks for them twice."""
    found: dict[str, None] = {}
    for match in _QUOTED.finditer(query):
        found[next(group for group in match.groups() if group).strip().removesuffix("()")] = None
    rest = _QUOTED.sub(" . ", query)
    for match in _TOKEN.finditer(rest):
        token = _POSSESSIVE.sub("", match[0])
        if _is_telling(token, is_first=_starts_sentence(rest, match.start())):
            found[token.removesuffix("()")] = None
    return tuple(filter(None, found))


def scarce_phrases(phrases: Sequence[str], texts: Iterable[str], *, below: int) -> list[str]:
    """Return the phrases that fewer than `below` of the texts contain as whole words."""
    missing = dict.fromkeys(phrases, below)
    for text in texts:
        if not missing:
            break
        lower = text.lower()
        for phrase in [one for one in missing if stands_in(one.lower(), lower)]:
            missing[phrase] -= 1
            if not missing[phrase]:
                del missing[phrase]
    return list(missing)


def stands_in(phrase: str, text: str) -> bool:
    """Tell whether a text contains a phrase, and not only inside a longer word."""
    at = text.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        if not (_is_of_word(text[at - 1 : at]) or _is_of_word(text[end : end + 1])):
            return True
        at = text.find(phrase, at + 1)
    return False


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_telling(token: str, *, is_first: bool) -> bool:
    """Tell whether a token looks like a name, a code or an identifier."""
    letters = [character for character in token if character.isalpha()]
    if any(character.isdigit() for character in token):
        return (
            len(token) >= _SHORTEST and not _YEAR.fullmatch(token) and not _ORDINAL.fullmatch(token)
        )
    if "_" in token.strip("_") or any(mark in token for mark in "@/.:("):
        return len(letters) >= _SHORTEST
    inner_capital = any(character.isupper() for character in token[1:])
    starts_capital = token[:1].isupper() and not is_first
    return len(letters) > 1 and (inner_capital or starts_capital)


def _starts_sentence(text: str, position: int) -> bool:
    before = text[:position].rstrip()
    return not before or before[-1] in ".?!"
