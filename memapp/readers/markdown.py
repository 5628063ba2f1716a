"""Read Markdown."""

import re
from collections.abc import Iterable, Sequence

from memapp.readers.decoding import decoded
from memapp.readers.titles import clean_title
from memapp.records import ReadDocument

_SEARCHED = 50_000
"""Characters at the beginning in which a title is looked for."""

_TITLE_KEY = re.compile(r"title:\s*(\S.*)", re.IGNORECASE)
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)")
_CLOSING = re.compile(r"[ \t]+#+$")
_UNDERLINE = re.compile(r" {0,3}=+$")


class MarkdownReader:
    """Read Markdown as it is; its title is that of its front matter, or its first heading."""

    formats: Sequence[str] = ("markdown", "md")
    media_types: Sequence[str] = ("text/markdown", "text/x-markdown")
    suffixes: Sequence[str] = (".md", ".markdown", ".mdx")

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        text = decoded(content)
        return ReadDocument(text, title=title_of(text), format="markdown")


def create() -> MarkdownReader:
    """Return the reader."""
    return MarkdownReader()


def title_of(text: str) -> str:
    """Return the title of a Markdown text, or "" if it has none near its beginning."""
    lines = [line.rstrip() for line in text[:_SEARCHED].splitlines()]
    if lines and lines[0] == "---":
        end = next((i for i, line in enumerate(lines[1:], 1) if line in {"---", "..."}), 0)
        for line in lines[1:end]:
            if named := _TITLE_KEY.match(line):
                return clean_title(named[1].strip("\"'"))
        lines = lines[end + 1 :] if end else lines
    return clean_title(_first_heading(lines))


def _first_heading(lines: Iterable[str]) -> str:
    fence = ""
    before = ""
    for line in lines:
        bare = line.strip()
        if fence:
            fence = "" if bare.startswith(fence) else fence
        elif bare.startswith(("```", "~~~")):
            fence = bare[:3]
        elif heading := _HEADING.match(line):
            return _CLOSING.sub("", heading[1])
        elif before and _UNDERLINE.match(line):
            return before
        before = bare
    return ""
