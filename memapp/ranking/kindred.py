"""Find the words that the best candidates share and the query lacks.

Pseudo-relevance feedback in the manner of RM3 (Abdul-Jaleel et al., "UMass at TREC 2004"): what
the best have in common says more of what is looked for.
"""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.keywords import Key
from memapp.ranking.words import Terms

_BEST = 10
_MOST_TERMS = 40


def kindred_terms(
    texts: Sequence[Terms], scores: NDArray[np.float64], *, but: Collection[str]
) -> dict[Key, float]:
    """Return the terms that are most frequent in the best texts, with their weights.

    Args:
        texts: The candidates.
        scores: Shape (len(texts),), 0 and above; says which are the best, and how much they count.
        but: The query's own terms, which are left out.
    """
    shared: Counter[str] = Counter()
    for row in np.argsort(-scores, kind="stable")[:_BEST]:
        text = texts[row]
        for term, count in text.counts.items():
            shared[term] += scores[row] * count / len(text.sequence)
    for term in but:
        del shared[term]
    return dict(shared.most_common(_MOST_TERMS))
