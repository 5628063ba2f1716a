"""Where a text pauses, and how much: between words, lines, sentences, items, paragraphs."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

_BLANK = re.compile(r"\s*")
# The full stop, exclamation and question mark of Chinese and Japanese, and what closes after them.
_FULL_WIDTH_END = "\u3002\uff01\uff1f\uff61"
_FULL_WIDTH_CLOSE = "\u300d\u300f\uff09\u201d\u2019"
_PAUSE = re.compile(rf"\s+|[{_FULL_WIDTH_END}]+[{_FULL_WIDTH_CLOSE}]*")
_SENTENCE_END = re.compile(rf"[.!?\u2026{_FULL_WIDTH_END}][\"')\]{_FULL_WIDTH_CLOSE}]*$")
_LONGEST_END = 4
"""Characters that are looked at for the end of a sentence: its mark and what closes after it."""
_ITEM = re.compile(r"[ \t]*(?:[-*+\u2022>] |\d{1,3}[.)] |\|)")
_ZERO_WIDTH_JOINER = "\u200d"
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\ua000-\ua4cf\uf900-\ufaff"
    "\uff66-\uff9d\U00020000-\U0003ffff]"
)
"""Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Han, kana, Yi."""


class PauseKind(IntEnum):
    """How much a text pauses, from least to most."""

    IN_HEADING = 0
    WORD = 1
    LINE = 2
    SENTENCE = 3
    ITEM = 4
    PARAGRAPH = 5
    HEADING = 6


@dataclass(frozen=True, slots=True)
class Pause:
    """A place to part a text: what is before ends at `end`, what follows starts at `resume`."""

    end: int
    resume: int
    kind: PauseKind


def pauses_between(text: str, low: int, high: int, *, by_lines: bool) -> Iterator[Pause]:
    """Yield the pauses whose `end` lies in `low` to `high`, both included, in order.

    Headings are not known here: `IN_HEADING` and `HEADING` are never given.

    Args:
        text: The whole text.
        low: First offset.
        high: Last offset.
        by_lines: The text is made of lines, such as source code, not of sentences.
    """
    for found in _PAUSE.finditer(text, low, high + 1):
        is_blank = found.group()[0].isspace()
        end = found.start() if is_blank else found.end()
        if end > high or (is_blank and end == low > 0 and text[low - 1].isspace()):
            continue
        resume = resume_after(text, end)
        kind = _line_kind if by_lines else _prose_kind
        yield Pause(end, resume, kind(text, end, resume))


def resume_after(text: str, end: int) -> int:
    """Return where a text goes on after `end`: at its next word, or at the start of that line."""
    word = blank_end(text, end)
    newline = text.rfind("\n", end, word)
    if newline >= 0:
        return newline + 1
    return 0 if end == 0 else word


def blank_end(text: str, start: int) -> int:
    """Return the offset of the first character from `start` on that is not white space."""
    found = _BLANK.match(text, start)
    return found.end() if found else start


def is_inside_word(text: str, at: int) -> bool:
    """Tell whether a cut before `text[at]` would part a word, or a letter from its marks."""
    before, after = text[at - 1], text[at]
    if before.isspace() or after.isspace():
        return False
    if before == _ZERO_WIDTH_JOINER or _extends(after):
        return True
    return _is_spaced_letter(before) and _is_spaced_letter(after)


def _extends(character: str) -> bool:
    is_skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    is_mark = unicodedata.category(character).startswith("M")
    return is_mark or is_skin_tone or character == _ZERO_WIDTH_JOINER


def _is_spaced_letter(character: str) -> bool:
    if not (character.isalnum() or character == "_" or _extends(character)):
        return False
    return not _UNSPACED.match(character)


def _prose_kind(text: str, end: int, resume: int) -> PauseKind:
    newlines = text.count("\n", end, resume)
    if newlines > 1:
        return PauseKind.PARAGRAPH
    if newlines == 1 and _ITEM.match(text, resume):
        return PauseKind.ITEM
    if _SENTENCE_END.search(text[max(0, end - _LONGEST_END) : end]):
        return PauseKind.SENTENCE
    return PauseKind.LINE if newlines else PauseKind.WORD


def _line_kind(text: str, end: int, resume: int) -> PauseKind:
    newlines = text.count("\n", end, resume)
    if newlines > 1:
        is_indented = text[resume : resume + 1].isspace()
        return PauseKind.ITEM if is_indented else PauseKind.PARAGRAPH
    return PauseKind.LINE if newlines else PauseKind.WORD
