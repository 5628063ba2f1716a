"""Split HTML into tags and text in time proportional to its length, whatever it holds.

`html.parser` of the standard library takes quadratic time on unfinished tags and comments in many
Python versions that are in use (CPython issue gh-135462).
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

RAW = frozenset({"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"})
"""Elements whose content is text up to their end tag, whatever it looks like."""

_NAME = re.compile(r"[a-zA-Z][^\s/>]{0,60}")
_QUOTE_OR_END = re.compile(r"[\"'>]")
_LONG_REFERENCE = re.compile(r"&#(?:[xX][0-9a-fA-F]{8,}|[0-9]{8,});?")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of HTML: a start tag, an end tag, or text with its references resolved.

    Attributes:
        kind: What it is.
        value: The tag's name in lower case, or the text.
    """

    kind: Literal["start", "end", "text"]
    value: str


def tokens(page: str) -> Iterator[Token]:
    """Yield the tags and the text of a page, in order; comments and declarations are left out.

    What an unfinished tag or comment swallows is lost, as it is in a browser.
    """
    at = 0
    while at < len(page):
        tag = page.find("<", at)
        if tag != at:
            end = len(page) if tag < 0 else tag
            yield Token("text", _resolved(page[at:end]))
            at = end
            continue
        name = _NAME.match(page, at + 1) or (
            _NAME.match(page, at + 2) if page.startswith("/", at + 1) else None
        )
        if name is not None:
            is_end = page[at + 1] == "/"
            yield Token("end" if is_end else "start", name[0].lower())
            at = _tag_end(page, name.end())
            if not is_end and name[0].lower() in RAW:
                stop = _raw_end(page, at, name[0])
                yield Token("text", _resolved(page[at:stop]))
                at = stop
        elif page.startswith("<!--", at):
            at = _after(page, "-->", at + 4)
        elif page.startswith(("<!", "<?", "</"), at):
            at = _after(page, ">", at + 2)
        else:
            yield Token("text", "<")
            at += 1


def _tag_end(page: str, at: int) -> int:
    """Return the offset after a tag; a `>` in quotes does not end it."""
    while found := _QUOTE_OR_END.search(page, at):
        if found[0] == ">":
            return found.end()
        at = page.find(found[0], found.end()) + 1
        if at == 0:
            break
    return len(page)


def _raw_end(page: str, at: int, name: str) -> int:
    found = re.compile(rf"</{re.escape(name)}(?=[\s/>])", re.IGNORECASE).search(page, at)
    return found.start() if found else len(page)


def _after(page: str, mark: str, at: int) -> int:
    found = page.find(mark, at)
    return len(page) if found < 0 else found + len(mark)


def _resolved(text: str) -> str:
    if "&" not in text:
        return text
    # No character has so long a number; Python refuses to convert a very long one.
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text))
