"""Sentences, questions and documents by number: the same everywhere, no two of a kind alike."""

import functools
import json
from pathlib import Path

_SENTENCES = 40 * 48 * 36 * 40 * 45 * 20
"""So many can be made of the phrases in `words.json`."""

_STRIDE = 1_234_567_891
"""Shares no factor with `_SENTENCES`, so that its multiples meet every sentence once."""


def memory(number: int) -> str:
    """Return a memory of about 25 words; different for each number up to 2.4 thousand million."""
    person, deed, place, time, reason, feeling = _words(number)
    return f"{person} {deed} in {place} {time}, because {reason}, {feeling}."


def question(number: int) -> str:
    """Return a question that some memories answer; different for each number, as `memory`."""
    person, deed, place, time, reason, _ = _words(number * 7 + 3)
    return f"Did {person} say who {deed} {time} near {place} when {reason}?"


def document(number: int, characters: int) -> str:
    """Return a Markdown document of headings and paragraphs, cut at `characters`."""
    parts = [f"# Notes, volume {number}"]
    length = len(parts[0])
    sentence = number * 10_007
    while length < characters:
        if (len(parts) - 1) % 4 == 0:
            part = f"## Chapter {len(parts) // 4 + 1} of volume {number}"
        else:
            part = " ".join(memory(sentence + i) for i in range(6))
            sentence += 6
        parts.append(part)
        length += len(part) + 2
    return "\n\n".join(parts)[:characters]


def _words(number: int) -> list[str]:
    rest = number * _STRIDE % _SENTENCES
    words = []
    for slot in _slots():
        rest, index = divmod(rest, len(slot))
        words.append(slot[index])
    return words


@functools.cache
def _slots() -> list[list[str]]:
    """Return the phrases that may stand in each place of a sentence."""
    path = Path(__file__).with_name("words.json")
    phrases: dict[str, list[str]] = json.loads(path.read_text("utf-8"))
    return list(phrases.values())
