"""Turn text into the terms that keyword scoring counts.

Knows English endings, the identifiers of program code and writing without spaces; refuses to know
queries, scores and stores.
"""

import re
import threading
import unicodedata
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import Stemmer

# Letters and digits of any script, with inner apostrophes; an underscore separates.
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
# Where a capital starts a new part: parseHTTPBody -> parse HTTP Body.
_CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDENTIFIER = re.compile(r"[A-Za-z0-9]+(?:_+[A-Za-z0-9]+)+|[A-Za-z0-9]*[a-z0-9][A-Z][A-Za-z0-9]*")
# Scripts that are written without spaces between words: Thai to Myanmar, Khmer, kana, bopomofo,
# Han, and Hangul, whose particles stick to the words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003134f]+"
)
_COMBINING_MARKS = re.compile("[\u0300-\u036f]")

# Snowball's English stop words (https://snowballstem.org/algorithms/english/stop.txt), whole words
# only; contractions are covered by their parts.
STOP_WORDS = frozenset(
    """
    i me my myself we us our ours ourselves you your yours yourself yourselves he him his himself
    she her hers herself it its itself they them their theirs themselves what which who whom this
    that these those am is are was were be been being have has had having do does did doing would
    should could ought a an the and but if or because as until while of at by for with about
    against between into through during before after above below to from up down in out on off over
    under again further then once here there when where why how all any both each few more most
    other some such no nor not only own same so than too very can will just
    i'm you're he's she's it's we're they're i've you've we've they've i'd you'd he'd she'd we'd
    they'd i'll you'll he'll she'll we'll they'll isn't aren't wasn't weren't hasn't haven't hadn't
    doesn't don't didn't won't wouldn't shan't shouldn't can't cannot couldn't mustn't let's that's
    who's what's here's there's when's where's why's how's
    """.split()  # noqa: SIM905 - a list of 200 literals would hide the words
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What keyword scoring needs of one text.

    Attributes:
        counts: How often each term occurs.
        length: Number of terms, repetitions included.
    """

    counts: Mapping[str, int]
    length: int


def terms(text: str) -> Terms:
    """Return the terms of a text to be searched; remembered for texts seen lately."""
    return _recent.terms(text)


def query_terms(query: str) -> frozenset[str]:
    """Return the terms to look for: without stop words, unless there is nothing else."""
    words = _words(query)
    telling = [word for word in words if word not in STOP_WORDS]
    return frozenset(_stem(word) for word in telling or words)


def count_terms(text: str) -> Terms:
    """Count the stemmed terms of a text, stop words left out."""
    counts = Counter(_stem(word) for word in _words(text) if word not in STOP_WORDS)
    return Terms(dict(counts), counts.total())


def _words(text: str) -> list[str]:
    """Split into lower-case words; identifiers also give their parts, unspaced scripts bigrams."""
    if not text.isascii():
        text = _fold(text)
    words = [_without_possessive(word) for word in _WORD.findall(text.lower())]
    for identifier in _IDENTIFIER.findall(text):
        words += _identifier_parts(identifier)
    if text.isascii():
        return words
    return [piece for word in words for piece in _bigrams(word)]


def _fold(text: str) -> str:
    """Make equal what readers take for equal: widths, ligatures, accents of Latin and Greek."""
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", _COMBINING_MARKS.sub("", decomposed)).replace("\u2019", "'")


def _without_possessive(word: str) -> str:
    return word.removesuffix("'s")


def _identifier_parts(identifier: str) -> list[str]:
    """Return what an identifier adds to its words: parts of camelCase, and the whole snake_case."""
    parts = [
        part.lower()
        for piece in identifier.split("_")
        for part in _CASE_CHANGE.split(piece)
        if part and part != piece
    ]
    return [*parts, identifier.lower()] if "_" in identifier else parts


def _bigrams(word: str) -> list[str]:
    """Return the word itself, or overlapping pairs of characters where scripts have no spaces."""
    if not _UNSPACED.search(word):
        return [word]
    pieces = [piece for piece in _UNSPACED.split(word) if piece]
    for run in _UNSPACED.findall(word):
        pieces += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return pieces


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return str(_stemmers.english.stemWord(word)) if word.isascii() else word


class _Stemmers(threading.local):
    """One stemmer per thread: PyStemmer's objects must not be shared between threads."""

    def __init__(self) -> None:
        self.english = Stemmer.Stemmer("english", 0)


class _RecentTerms:
    """Terms of the texts used last, within a budget of bytes; safe to use from many threads."""

    # A rough price list: what CPython takes for a dictionary entry and for an entry here.
    _BYTES_PER_TERM = 60
    _BYTES_PER_TEXT = 400

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._spent = 0
        self._known: OrderedDict[str, Terms] = OrderedDict()
        self._lock = threading.Lock()

    def terms(self, text: str) -> Terms:
        with self._lock:
            known = self._known.get(text)
            if known is not None:
                self._known.move_to_end(text)
                return known
        counted = count_terms(text)
        with self._lock:
            if text not in self._known:
                self._known[text] = counted
                self._spent += self._price(text, counted)
            while self._spent > self._budget:
                self._spent -= self._price(*self._known.popitem(last=False))
        return counted

    def _price(self, text: str, counted: Terms) -> int:
        return self._BYTES_PER_TEXT + len(text) + self._BYTES_PER_TERM * len(counted.counts)


_stemmers = _Stemmers()
_recent = _RecentTerms(budget=32 * 2**20)
