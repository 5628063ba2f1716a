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
from itertools import chain

import Stemmer

from memapp.ranking.identifiers import identifier_parts

# Letters, digits and underscores of any script, with inner apostrophes.
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
# Scripts that are written without spaces between words: Thai to Myanmar, Khmer, kana, bopomofo,
# Han, and Hangul, whose particles stick to the words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003134f]+"
)
_COMBINING_MARKS = re.compile("[\u0300-\u036f]")

# Snowball's English stop words (https://snowballstem.org/algorithms/english/stop.txt), and a few
# auxiliaries that questions are made of.
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
        sequence: The terms in the order of the text, without stop words.
        counts: How often each term occurs.
    """

    sequence: tuple[str, ...]
    counts: Mapping[str, int]


def terms(text: str) -> Terms:
    """Return the terms of a text; remembered for texts seen lately."""
    return _recent_texts.terms(text)


def count_terms(text: str) -> Terms:
    """Split a text into terms and count them."""
    if not text.isascii():
        text = _fold(text)
    sequence = tuple(chain.from_iterable(map(_terms_of_word.__getitem__, _WORD.findall(text))))
    return Terms(sequence, dict(Counter(sequence)))


def _fold(text: str) -> str:
    """Make equal what readers take for equal: widths, ligatures, accents of Latin and Greek."""
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", _COMBINING_MARKS.sub("", decomposed)).replace("\u2019", "'")


def _split_word(word: str) -> tuple[str, ...]:
    """Return the terms of one word: none for a stop word, several for an identifier."""
    whole = word.lower().removesuffix("'s").strip("_")
    if not whole or whole in STOP_WORDS:
        return ()
    if _UNSPACED.search(whole):
        return tuple(_bigrams(whole))
    parts = [part.lower() for part in identifier_parts(word.removesuffix("'s"))]
    others = [part for part in parts if part != whole and part not in STOP_WORDS]
    return tuple(map(_stem, [whole, *others]))


def _bigrams(word: str) -> list[str]:
    """Return overlapping pairs of characters where scripts have no spaces, and what is around."""
    pieces = [piece for piece in _UNSPACED.split(word) if piece]
    for run in _UNSPACED.findall(word):
        pieces += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return pieces


def _stem(word: str) -> str:
    return str(_stemmers.english.stemWord(word)) if word.isascii() else word


class _Stemmers(threading.local):
    """One stemmer per thread: PyStemmer's objects must not be shared between threads."""

    def __init__(self) -> None:
        self.english = Stemmer.Stemmer("english", 0)


class _TermsOfWord(dict[str, tuple[str, ...]]):
    """The terms of each word, worked out once; starts afresh when it has grown too large.

    Every step is one dictionary operation, so threads can only do work twice.
    """

    _MOST_WORDS = 65536

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(self) >= self._MOST_WORDS:
            self.clear()
        split = self[word] = _split_word(word)
        return split


class _RecentTexts:
    """Terms of the texts used last, within a budget of bytes; safe to use from many threads."""

    # About what CPython takes; the strings themselves are shared with `_terms_of_word`.
    _BYTES_PER_TEXT = 500
    _BYTES_PER_TERM = 8
    _BYTES_PER_COUNT = 50

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
        return (
            self._BYTES_PER_TEXT
            + len(text)
            + self._BYTES_PER_TERM * len(counted.sequence)
            + self._BYTES_PER_COUNT * len(counted.counts)
        )


_stemmers = _Stemmers()
_terms_of_word = _TermsOfWord()
_recent_texts = _RecentTexts(budget=32 * 2**20)
