"""Number the terms of texts, so that keyword scoring works on arrays and reads each text once.

Refuses to know what a term is (`words`) and what it is worth (`keywords`).
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.words import terms_of_word, words_of

TermNumbers = NDArray[np.int32]
"""The terms of a text, in its order, as one lexicon numbers them."""

# A new lexicon takes over once so many words and terms are known: about 30 MB.
_MOST_KNOWN = 2**18
_MOST_REMEMBERED_BYTES = 32 * 2**20
# What CPython and numpy take for a remembered text beside its characters and numbers.
_BYTES_PER_TEXT = 400


class Lexicon:
    """Numbers terms as they come, from 0, and remembers texts read lately.

    Safe for many threads. Numbers of one lexicon mean nothing in another.
    """

    def __init__(self, most_bytes: int = _MOST_REMEMBERED_BYTES) -> None:
        """Know nothing yet; `most_bytes` bounds the texts that are remembered."""
        self._lock = threading.Lock()
        self._number_of: dict[str, int] = {}
        self._numbers_of_word: dict[str, tuple[int, ...]] = {}
        self._remembered: OrderedDict[str, TermNumbers] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether it has learnt as many words and terms as it should."""
        return len(self._number_of) + len(self._numbers_of_word) >= _MOST_KNOWN

    def read(self, query: str) -> TermNumbers:
        """Return the terms of a query, to be looked for in texts that were recalled before.

        Nothing is learnt of it, or the questions of weeks would fill the lexicon: terms that are
        in no text so far get numbers beyond all others.
        """
        with self._lock:
            beyond: dict[str, int] = {}
            numbers: list[int] = []
            for word in words_of(query):
                known = self._numbers_of_word.get(word)
                if known is None:
                    numbers += [self._lookup(term, beyond) for term in terms_of_word(word)]
                else:
                    numbers += known
            return np.array(numbers, dtype=np.int32)

    def recall(self, texts: Sequence[str]) -> list[TermNumbers]:
        """Return the terms of each text; only those not seen lately are read."""
        with self._lock:
            return [self._recall(text) for text in texts]

    def _recall(self, text: str) -> TermNumbers:
        known = self._remembered.get(text)
        if known is not None:
            self._remembered.move_to_end(text)
            return known
        numbers = self._remembered[text] = self._read(text)
        self._bytes += _price(text, numbers)
        while self._bytes > self._most_bytes:
            self._bytes -= _price(*self._remembered.popitem(last=False))
        return numbers

    def _read(self, text: str) -> TermNumbers:
        words = words_of(text)
        try:
            return self._numbers(words)
        except KeyError:
            # Soon hardly a text has a word that is new.
            for word in words:
                if word not in self._numbers_of_word:
                    self._numbers_of_word[word] = tuple(map(self._number, terms_of_word(word)))
            return self._numbers(words)

    def _numbers(self, words: Sequence[str]) -> TermNumbers:
        numbers = chain.from_iterable(map(self._numbers_of_word.__getitem__, words))
        return np.array(list(numbers), dtype=np.int32)

    def _lookup(self, term: str, beyond: dict[str, int]) -> int:
        known = self._number_of.get(term)
        return (
            beyond.setdefault(term, len(self._number_of) + len(beyond)) if known is None else known
        )

    def _number(self, term: str) -> int:
        return self._number_of.setdefault(term, len(self._number_of))


def current_lexicon() -> Lexicon:
    """Return this process's lexicon; a full one is replaced by an empty one."""
    return _process.lexicon()


class _Process:
    """Holds the lexicon of a process."""

    def __init__(self) -> None:
        self._lexicon = Lexicon()

    def lexicon(self) -> Lexicon:
        current = self._lexicon
        if current.is_full:
            current = self._lexicon = Lexicon()
        return current


def _price(text: str, numbers: TermNumbers) -> int:
    # A character outside Latin-1 takes two or four bytes.
    return _BYTES_PER_TEXT + len(text) * (1 if text.isascii() else 4) + numbers.nbytes


_process = _Process()
