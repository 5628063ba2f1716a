"""Score texts by the words they share with a query: BM25 with the statistics of the pool."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.words import Terms

# Lucene's defaults; Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework".
_K1 = 1.2
_B = 0.75


def bm25(wanted: Collection[str], texts: Sequence[Terms]) -> NDArray[np.float64]:
    """Score each text for the wanted terms.

    Document frequencies and the average length are those of `texts`. Lucene's idf,
    ln(1 + (N - n + 0.5) / (n + 0.5)), is never negative.

    Returns:
        Shape (len(texts),), same order; 0 and above, higher is better, 0 without a shared term.
    """
    scores = np.zeros(len(texts))
    if not texts:
        return scores
    lengths = np.array([text.length for text in texts], dtype=np.float64)
    norms = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1.0))
    columns: dict[str, tuple[list[int], list[int]]] = {}
    wanted_set = frozenset(wanted)
    for row, text in enumerate(texts):
        for term in wanted_set & text.counts.keys():
            rows, counts = columns.setdefault(term, ([], []))
            rows.append(row)
            counts.append(text.counts[term])
    for term in sorted(columns):  # a fixed order of summing keeps equal texts exactly equal
        found, frequencies = columns[term]
        rows_found = np.array(found)
        tf = np.array(frequencies, dtype=np.float64)
        idf = np.log1p((len(texts) - len(found) + 0.5) / (len(found) + 0.5))
        scores[rows_found] += idf * tf / (tf + norms[rows_found])
    return scores
