"""Word passages for a prompt: numbered, quoted, each traceable to its place in its document.

    [1] Guide > Install (document "readme", collection "default", characters 120-640)
    > Run `make serve`.

Every line of a passage begins with "> ", so that no document can forge the head of another
passage. Passages of one document that overlap are shown as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memapp.records import Document, Passage
from memapp.services.pauses import is_inside_word

LEAST = 80
"""Characters of text below which a passage that must be shortened is left out instead."""

MAX_NAME = 120
"""Characters of a title and heading path that are shown."""

_CUT = " …"


@dataclass(frozen=True, slots=True)
class _Quote:
    """A stretch of a document, `text` at `start`."""

    document: Document
    start: int
    text: str
    heading: str
    page: int | None

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def context_of(passages: Sequence[Passage], *, max_characters: int | None = None) -> str:
    """Return the passages as text for a prompt, in the order given.

    Args:
        passages: Best first.
        max_characters: The result is never longer; the last passage that fits is shortened at a
            word, later ones are left out. None means no limit.
    """
    blocks: list[str] = []
    room = max_characters
    for number, quote in enumerate(_merged(passages), start=1):
        separator = "\n\n" if blocks else ""
        block = _fitted(number, quote, None if room is None else room - len(separator))
        if block is None:
            break
        blocks.append(separator + block)
        if room is not None:
            room -= len(blocks[-1])
    return "".join(blocks)


def _merged(passages: Sequence[Passage]) -> list[_Quote]:
    """Join passages that overlap; what is joined stands where its first part stood."""
    quotes: list[_Quote] = []
    for passage in passages:
        chunk = passage.chunk
        new = _Quote(passage.document, chunk.start, chunk.text, chunk.heading, chunk.page)
        places = [place for place, quote in enumerate(quotes) if _overlap(quote, new)]
        for place in places:
            new = _joined(quotes[place], new)
        if places:
            quotes[places[0]] = new
            quotes = [quote for place, quote in enumerate(quotes) if place not in places[1:]]
        else:
            quotes.append(new)
    return quotes


def _overlap(one: _Quote, other: _Quote) -> bool:
    is_same = (one.document.collection, one.document.id, one.document.revision) == (
        other.document.collection,
        other.document.id,
        other.document.revision,
    )
    return is_same and one.start < other.end and other.start < one.end


def _joined(one: _Quote, other: _Quote) -> _Quote:
    first, second = sorted((one, other), key=lambda quote: quote.start)
    return replace(first, text=first.text + second.text[first.end - second.start :])


def _fitted(number: int, quote: _Quote, room: int | None) -> str | None:
    """Return the quote as a block of at most `room` characters, or None if too little fits."""
    block = _block(number, quote)
    if room is None or len(block) <= room:
        return block
    length = len(quote.text) - (len(block) - room)
    while length >= LEAST:
        short = replace(quote, text=_shortened(quote.text, length))
        block = _block(number, short, cut=_CUT)
        if len(block) <= room:
            return block if len(short.text) >= LEAST else None
        length = len(short.text) - (len(block) - room)
    return None


def _shortened(text: str, length: int) -> str:
    """Return at most `length` characters from the beginning, without parting a word."""
    while length > 0 and is_inside_word(text, length):
        length -= 1
    return text[:length].rstrip()


def _block(number: int, quote: _Quote, *, cut: str = "") -> str:
    document = quote.document
    # Of a document that begins with its title, the path of headings does so too.
    has_title = f"{quote.heading} > ".startswith(f"{document.title} > ")
    parts = (quote.heading,) if has_title else (document.title, quote.heading)
    name = " > ".join(part for part in parts if part)
    place = [
        f'document "{document.id}"',
        f'collection "{document.collection}"',
        *([f"page {quote.page}"] if quote.page is not None else []),
        f"characters {quote.start}-{quote.end}",
    ]
    shown = f"{_one_line(name)[:MAX_NAME].rstrip()} " if name else ""
    quoted = "\n".join(f"> {line}".rstrip() for line in (quote.text + cut).splitlines())
    return f"[{number}] {shown}({_one_line(', '.join(place))})\n{quoted}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
