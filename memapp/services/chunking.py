"""Cut a document into chunks along its structure.

A chunk ends where the text itself pauses most, as near to the limit as that allows: before a
heading, else after a paragraph, a sentence, a line, a word. It begins a little before the end of
the one before it, so that what lies at a seam is whole in one of them. Offsets count code points
of the document's text. This room knows nothing of storing or searching.
"""

from bisect import bisect_right
from collections.abc import Iterator

from memapp.records import Chunk, ReadDocument
from memapp.services.outline import Outline, Span, outline
from memapp.services.pauses import (
    Pause,
    PauseKind,
    blank_end,
    is_inside_word,
    pauses_between,
    resume_after,
)


def chunks_of(document: ReadDocument, *, limit: int, overlap: int) -> list[Chunk]:
    """Cut a document into chunks, in order.

    Every character that is not white space lies in at least one chunk; no chunk is longer than
    `limit`, begins or ends with blank lines, or ends inside a word that is not itself longer.

    Args:
        document: Its format `markdown` gives headings and code fences; `code` and `lines` make
            the ends of lines count and those of sentences not; any other is plain prose.
        limit: Most characters of a chunk, at least 2.
        overlap: About how many characters a chunk repeats of the one before it, 0 to half of
            `limit`. Nothing is repeated across a heading.

    Raises:
        ValueError: `limit` or `overlap` is out of range.
    """
    if not (limit > 1 and 0 <= overlap <= limit // 2):
        message = f"limit must be at least 2 and overlap 0 to limit / 2, not {limit} and {overlap}"
        raise ValueError(message)
    cutter = _Cutter(document, limit, overlap)
    marks = [mark.start for mark in document.pages]
    chunks = []
    for index, (start, end) in enumerate(cutter.spans()):
        page = bisect_right(marks, start)
        chunks.append(
            Chunk(
                index=index,
                start=start,
                end=end,
                text=document.text[start:end],
                heading=cutter.outline.path_over(start, end),
                page=document.pages[page - 1].page if page else None,
            )
        )
    return chunks


class _Cutter:
    """Find the spans of one document's chunks."""

    def __init__(self, document: ReadDocument, limit: int, overlap: int) -> None:
        self.text = document.text
        self.outline = outline(self.text) if document.format == "markdown" else Outline()
        self._by_lines = document.format in {"code", "lines"}
        self._stop = len(self.text.rstrip())
        self._limit = limit
        self._overlap = overlap

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield start and end of each chunk, in order."""
        last, end = -1, 0
        while end < self._stop:
            fresh = self._resume(end)
            start = self._start_with_overlap(last, end, fresh)
            cut = self._cut(start, end)
            # The overlap, and then the indentation, are given up before a word is parted.
            for start_at in (fresh, blank_end(self.text, end)):
                if cut is None:
                    start = start_at
                    cut = self._cut(start, end) or self._last_between_words(start)
            last, end = start, start + self._limit if cut is None else cut
            yield start, end

    def _resume(self, end: int) -> int:
        resume, word = resume_after(self.text, end), blank_end(self.text, end)
        return resume if word - resume <= self._limit // 2 else word

    def _start_with_overlap(self, last: int, end: int, fresh: int) -> int:
        """Return where to start a chunk after one that spans `last` to `end`."""
        low = max(end - self._overlap, last + 1)
        if end == 0 or low >= end or self.outline.headings_between(end, fresh + 1):
            return fresh
        if headings := self.outline.headings_between(low, end):
            return headings[-1].start
        pauses = [
            pause
            for pause in self._pauses(low, end - 1)
            if pause.resume < end and not self._parted_fence(pause.resume)
        ]
        enough = PauseKind.LINE if self._by_lines else PauseKind.SENTENCE
        strong = [pause for pause in pauses if pause.kind >= enough]
        return (strong or pauses)[0].resume if pauses else fresh

    def _cut(self, start: int, floor: int) -> int | None:
        """Return the best end after `floor` for a chunk that is full enough, if there is one.

        Half full is enough, and a third where a heading follows.
        """
        high = start + self._limit
        if self._stop <= high:
            return self._stop
        half = start + self._limit // 2
        pauses = [
            pause
            for pause in self._pauses(max(start + self._limit // 3, floor + 1), high)
            if (pause.end >= half or pause.kind is PauseKind.HEADING)
            and not self._parted_fence(pause.end)
        ]
        return max(pauses, key=lambda pause: (pause.kind, pause.end)).end if pauses else None

    def _last_between_words(self, start: int) -> int | None:
        """Return the last end that parts no word, or None if the first word is too long."""
        at = start + self._limit
        while at > start:
            if fence := self._parted_fence(at):
                at = fence.start
            elif self.text[at - 1].isspace() or is_inside_word(self.text, at):
                at -= 1
            else:
                return at
        return None

    def _parted_fence(self, at: int) -> Span | None:
        return self.outline.parted_fence(at, longest=self._limit)

    def _pauses(self, low: int, high: int) -> Iterator[Pause]:
        for pause in pauses_between(self.text, low, high, by_lines=self._by_lines):
            if self.outline.headings_between(pause.end, pause.resume + 1):
                yield Pause(pause.end, pause.resume, PauseKind.HEADING)
            elif self.outline.is_in_heading(pause.end):
                yield Pause(pause.end, pause.resume, PauseKind.IN_HEADING)
            else:
                yield pause
