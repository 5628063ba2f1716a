"""Score texts by the words they share with a query: BM25 with the statistics of the pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.lexicon import TermNumbers

# Lucene's defaults; Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework".
_K1 = 1.2
_B = 0.75
# What two words side by side count as, beside the words themselves; measured in
# docs/retrieval.md.
_PAIR_WEIGHT = 0.5
# A longer query is cut: its first words say what it is about, and work stays bounded.
_MOST_QUERY_TERMS = 256

_Whole = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What texts are scored for.

    Attributes:
        terms: Each once.
        weights: How much each term counts, in the same order.
        pairs: Places in `terms` of two that count as a pair where they stand side by side.
    """

    terms: TermNumbers
    weights: NDArray[np.float64]
    pairs: Sequence[tuple[int, int]] = ()


def wanted_by(query: TermNumbers) -> Wanted:
    """Return what a query asks for: its terms as often as it has them, and its adjacent pairs."""
    sequence: list[int] = query[:_MOST_QUERY_TERMS].tolist()
    places = {term: place for place, term in enumerate(dict.fromkeys(sequence))}
    weights = np.bincount([places[term] for term in sequence], minlength=len(places))
    pairs = dict.fromkeys((places[one], places[next_]) for one, next_ in pairwise(sequence))
    return Wanted(np.array(list(places), np.int32), weights.astype(np.float64), list(pairs))


class PoolTexts:
    """The texts of a pool, term by term."""

    def __init__(self, texts: Sequence[TermNumbers]) -> None:
        """Lay out the texts; at least one, all numbered by one lexicon."""
        lengths = np.array([len(text) for text in texts])
        self._texts = len(texts)
        self._terms = np.concatenate(texts)
        self._rows = np.repeat(np.arange(len(texts)), lengths)
        self._highest = int(self._terms.max(initial=-1))
        average = max(lengths.mean(), 1e-9)
        self._norms = _K1 * (1 - _B + _B * lengths / average)

    def bm25(self, wanted: Wanted) -> NDArray[np.float64]:
        """Score each text for what is wanted.

        Frequencies and the average length are those of the pool. Lucene's idf,
        ln(1 + (N - n + 0.5) / (n + 0.5)), is never negative.

        Returns:
            One score per text, same order; 0 and above, higher is better, 0 without a shared term.
        """
        counts = self._counted(wanted)
        weights = np.append(wanted.weights, np.full(len(wanted.pairs), _PAIR_WEIGHT))
        weights *= idf((counts > 0).sum(axis=0), self._texts)
        # A sum row by row, and no matrix product: equal texts get equal scores to the last bit.
        shares = counts / (counts + self._norms[:, None])
        return np.asarray((shares * weights).sum(axis=1))

    def _counted(self, wanted: Wanted) -> _Whole:
        """Count terms and then pairs, shape (texts, terms + pairs)."""
        terms = len(wanted.terms)
        # Column 0 is for what is not wanted.
        column_of = np.zeros(1 + max(self._highest, int(wanted.terms.max(initial=-1))), np.int16)
        column_of[wanted.terms] = np.arange(1, terms + 1)
        all_columns = column_of[self._terms]
        hits = np.flatnonzero(all_columns != 0)
        rows, columns = self._rows[hits], all_columns[hits].astype(np.intp)
        counts = self._tallied(rows, columns, terms)
        if not wanted.pairs:
            return counts
        adjacent = np.flatnonzero((np.diff(hits) == 1) & (np.diff(rows) == 0))
        pair_of = np.zeros((terms + 1, terms + 1), np.intp)
        firsts, seconds = np.array(wanted.pairs).T + 1
        pair_of[firsts, seconds] = np.arange(1, len(wanted.pairs) + 1)
        pairs = pair_of[columns[adjacent], columns[adjacent + 1]]
        together = self._tallied(rows[adjacent], pairs, len(wanted.pairs))
        return np.hstack((counts, together))

    def _tallied(self, rows: _Whole, columns: _Whole, width: int) -> _Whole:
        """Count each column from 1 to `width` in each row; column 0 is left out."""
        flat = np.bincount(rows * (width + 1) + columns, minlength=self._texts * (width + 1))
        return flat.reshape(self._texts, width + 1)[:, 1:]


def idf(found_in: int | _Whole, texts: int) -> NDArray[np.float64]:
    """Return how telling it is to find something in so many of so many texts; never negative."""
    return np.asarray(np.log1p((texts - found_in + 0.5) / (found_in + 0.5)))
