"""Find the speakers that a query may name, and take known ones out of it."""

import re
from collections.abc import Collection, Iterator

# A word of a name: J.R., O'Brien, Jean-Luc, agent_7, @handle.
_NAME_WORD = re.compile(r"[@#]?\w(?:[\w.'\u2019\-]*\w)?")
_POSSESSIVE = re.compile(r"['\u2019]s?$")
_LONGEST_NAME = 3
_WORDS_LOOKED_AT = 64


def name_candidates(query: str) -> Iterator[str]:
    """Yield every run of one to three words of a query, in lower case.

    A store tells which of them are known speakers. Only the first 64 words of a long query are
    looked at, so there are at most 189. Nothing is done before the first is asked for.
    """
    words = list(_NAME_WORD.finditer(query))[:_WORDS_LOOKED_AT]
    for first in range(len(words)):
        for last in words[first : first + _LONGEST_NAME]:
            name = " ".join(query[words[first].start() : last.end()].lower().split())
            if name := _POSSESSIVE.sub("", name):
                yield name


def without_names(query: str, names: Collection[str]) -> str:
    """Return the query without the given names, for the embedder.

    Names match as whole words, whatever their case, with a possessive ending. A query of nothing
    but names is returned as it is.
    """
    if not names:
        return query
    longest_first = sorted(names, key=len, reverse=True)
    either = "|".join(r"\s+".join(map(re.escape, name.split())) for name in longest_first)
    rest = re.sub(rf"(?<!\w)(?:{either})(?:['\u2019]s?)?(?!\w)", " ", query, flags=re.IGNORECASE)
    return " ".join(rest.split()) if re.search(r"\w", rest) else query
