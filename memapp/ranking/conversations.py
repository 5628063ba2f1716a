"""Let a turn of a conversation profit from the turns around it."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.candidates import Candidate

# Share of a neighbour's score by distance; measured in docs/retrieval.md.
_NEIGHBOUR_WEIGHTS = (0.3, 0.2)
# What was said after a longer pause is another conversation, whatever it is called.
_LONGEST_PAUSE_SECONDS = 3600.0


def neighbours(scores: NDArray[np.float64], candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Return what each turn gains from the two before and the two after it.

    Turns are ordered by `occurred_at`, then by `recorded_at`, then as given. A turn that is not
    among the candidates is not waited for: the next one found counts as the neighbour.

    Args:
        scores: Shape (candidates,), 0 and above.
        candidates: One per score; one without a conversation gains nothing.

    Returns:
        Shape (candidates,); at most the greatest score, as all the weights together are 1.
    """
    gains = np.zeros_like(scores)
    for stretch in _stretches(candidates):
        own = scores[stretch]
        gained = np.zeros_like(own)
        for distance, weight in enumerate(_NEIGHBOUR_WEIGHTS, start=1):
            gained[distance:] += weight * own[:-distance]
            gained[:-distance] += weight * own[distance:]
        gains[stretch] = gained
    return gains


def _stretches(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Return the rows of what was said in one go, each in order; single turns are left out."""
    turns: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for row, candidate in enumerate(candidates):
        if candidate.conversation is not None:
            occurred, recorded = candidate.occurred_at, candidate.recorded_at
            turns[candidate.conversation].append(
                (
                    occurred.timestamp() if occurred is not None else 0.0,
                    recorded.timestamp() if recorded is not None else 0.0,
                    row,
                )
            )
    stretches: list[list[int]] = []
    for ordered in map(sorted, turns.values()):
        previous = float("-inf")
        for seconds, _, row in ordered:
            if seconds - previous > _LONGEST_PAUSE_SECONDS:
                stretches.append([])
            stretches[-1].append(row)
            previous = seconds
    return [stretch for stretch in stretches if len(stretch) > 1]
