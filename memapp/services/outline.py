"""The outline of a Markdown text: where its headings are, and which code blocks stay whole."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

MAX_HEADING = 120
"""Characters of a heading that are kept in a path."""

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n.*?^(?:---|\.\.\.)[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"[^\n]+")
_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})")
_HASHES = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|--+)\s*$")
_NEVER_UNDERLINED = re.compile(r"\s*$| {4}|\t| {0,3}([#>|`~*+-]|\d+[.)])")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: where its line starts, where its last line ends, and the path down to it."""

    start: int
    end: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text, `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Outline:
    """The structure of one text; its headings and fences are in order and do not overlap."""

    headings: Sequence[Heading] = ()
    fences: Sequence[Span] = ()

    def headings_between(self, start: int, end: int) -> Sequence[Heading]:
        """Return the headings that start in `[start, end)`."""
        first = bisect_left(self.headings, start, key=_start)
        return self.headings[first : bisect_left(self.headings, end, key=_start)]

    def is_in_heading(self, at: int) -> bool:
        """Tell whether `at` lies inside a heading or at its end."""
        index = bisect_left(self.headings, at, key=_start) - 1
        return index >= 0 and at <= self.headings[index].end

    def parted_fence(self, at: int, *, longest: int) -> Span | None:
        """Return the fence of at most `longest` characters that a cut at `at` parts, if any."""
        index = bisect_left(self.fences, at, key=_start) - 1
        if index < 0 or at >= self.fences[index].end:
            return None
        fence = self.fences[index]
        return fence if fence.end - fence.start <= longest else None

    def path_over(self, start: int, end: int) -> str:
        """Return the path of headings that holds for all of `[start, end)`, joined by " > "."""
        first = bisect_right(self.headings, start, key=_start) - 1
        inside = [heading.path for heading in self.headings_between(start + 1, end)]
        paths = [self.headings[first].path if first >= 0 else (), *inside]
        common = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
        return " > ".join(names[0] for names in common)


def outline(text: str) -> Outline:
    """Read the outline of a Markdown text.

    Headings are what CommonMark calls ATX headings, and setext headings of one line after a blank
    one. A front matter is passed over; a fence that is never closed ends with the text.
    """
    front = _FRONT_MATTER.match(text)
    scan = _Scan()
    for line in _LINE.finditer(text, front.end() if front else 0):
        scan.line(line.group(), line.start())
    if scan.fence_mark:
        scan.fences.append(Span(scan.fence_start, len(text)))
    return Outline(scan.headings, scan.fences)


class _Scan:
    """What is known of a text after some of its lines."""

    def __init__(self) -> None:
        self.headings: list[Heading] = []
        self.fences: list[Span] = []
        self.fence_mark = ""
        self.fence_start = 0
        self._names: list[tuple[int, str]] = []
        self._last_end = -2
        self._lone: Span | None = None
        self._lone_name = ""

    def line(self, line: str, start: int) -> None:
        """Read the next line that is not empty; `start` is its offset."""
        end = start + len(line.rstrip())
        follows = start == self._last_end + 1
        lone, self._lone = self._lone, None
        self._last_end = start + len(line) if end > start else -2
        if self.fence_mark:
            self._inside_fence(line.strip(), end)
        elif fence := _FENCE.match(line):
            self.fence_mark, self.fence_start = fence[1], start
        elif hashes := _HASHES.match(line):
            self._heading(len(hashes[1]), _without_closing_hashes(hashes[2]), start, end)
        elif follows and lone and (underline := _UNDERLINE.match(line)):
            name = self._lone_name
            self._heading(1 if underline[1].startswith("=") else 2, name, lone.start, end)
        elif not follows and not _NEVER_UNDERLINED.match(line):
            self._lone, self._lone_name = Span(start, end), line.strip()

    def _inside_fence(self, line: str, end: int) -> None:
        if line.startswith(self.fence_mark) and not line.strip(self.fence_mark[0]):
            self.fences.append(Span(self.fence_start, end))
            self.fence_mark = ""

    def _heading(self, level: int, name: str, start: int, end: int) -> None:
        self._names = [above for above in self._names if above[0] < level]
        self._names.append((level, name[:MAX_HEADING].rstrip()))
        self.headings.append(Heading(start, end, tuple(name for _, name in self._names)))


def _without_closing_hashes(name: str) -> str:
    name = name.rstrip()
    bare = name.rstrip("#")
    return bare.rstrip() if bare != name and bare.endswith((" ", "\t")) else name


def _start(span: Heading | Span) -> int:
    return span.start
