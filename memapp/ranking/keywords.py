"""Score texts by the words they share with a query: BM25 with the statistics of the pool."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.words import Terms

# Lucene's defaults; Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework".
_K1 = 1.2
_B = 0.75
# What two words side by side count as, beside the words themselves; measured in
# docs/retrieval.md.
_PAIR_WEIGHT = 0.5
# A longer query is cut: its first words say what it is about, and work stays bounded.
_MOST_QUERY_TERMS = 256

Key = str | tuple[str, str]
"""A term, or a pair of adjacent terms."""

_Found = dict[Key, tuple[list[int], list[int]]]
"""For each term or pair that occurs: in which texts (rows, ascending), and how often in each."""


def wanted(query: Terms) -> dict[Key, float]:
    """Return what a query asks for: its terms as often as it has them, and its adjacent pairs."""
    sequence = query.sequence[:_MOST_QUERY_TERMS]
    weights: dict[Key, float] = defaultdict(float)
    for term in sequence:
        weights[term] += 1.0
    return weights | dict.fromkeys(pairwise(sequence), _PAIR_WEIGHT)


def bm25(weights: Mapping[Key, float], texts: Sequence[Terms]) -> NDArray[np.float64]:
    """Score each text for what is wanted.

    Frequencies and the average length are those of `texts`. Lucene's idf,
    ln(1 + (N - n + 0.5) / (n + 0.5)), is never negative.

    Args:
        weights: How much each term or pair counts.
        texts: What is scored.

    Returns:
        Shape (len(texts),), same order; 0 and above, higher is better, 0 without a shared term.
    """
    found = _occurrences(weights.keys(), texts)
    scores = np.zeros(len(texts))
    if not found:
        return scores
    lengths = np.array([len(text.sequence) for text in texts], dtype=np.float64)
    norms = _K1 * (1 - _B + _B * lengths / lengths.mean())
    for key, weight in weights.items():
        if key in found:
            rows, counts = (np.array(values) for values in found[key])
            scores[rows] += weight * idf_of(len(rows), len(texts)) * counts / (counts + norms[rows])
    return scores


def idf_of(found_in: int, texts: int) -> float:
    """Return how telling it is to find something in so many of so many texts; never negative."""
    return float(np.log1p((texts - found_in + 0.5) / (found_in + 0.5)))


def _occurrences(keys: Collection[Key], texts: Sequence[Terms]) -> _Found:
    single = {key for key in keys if isinstance(key, str)}
    pairs = [key for key in keys if isinstance(key, tuple)]
    found: _Found = {}
    for row, text in enumerate(texts):
        shared = single & text.counts.keys()
        for term in shared:
            rows, counts = found.setdefault(term, ([], []))
            rows.append(row)
            counts.append(text.counts[term])
        for pair in pairs:
            if pair[0] in shared and pair[1] in shared:
                together = _side_by_side(pair, text.sequence)
                if together:
                    rows, counts = found.setdefault(pair, ([], []))
                    rows.append(row)
                    counts.append(together)
    return found


def _side_by_side(pair: tuple[str, str], sequence: tuple[str, ...]) -> int:
    """Count where the second term of a pair follows the first."""
    first, second = pair
    count = 0
    at = -1
    for _ in range(sequence.count(first)):
        at = sequence.index(first, at + 1)
        count += sequence[at + 1 : at + 2] == (second,)
    return count
