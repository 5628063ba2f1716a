"""Let a turn of a conversation profit from the turns around it."""

from collections.abc import Sequence
from datetime import datetime

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
    rows, stretches = _stretches(candidates)
    own = scores[rows]
    gained = np.zeros_like(own)
    for distance, weight in enumerate(_NEIGHBOUR_WEIGHTS, start=1):
        together = stretches[distance:] == stretches[:-distance]
        gained[distance:] += weight * together * own[:-distance]
        gained[:-distance] += weight * together * own[distance:]
    gains = np.zeros_like(scores)
    gains[rows] = gained
    return gains


def _stretches(candidates: Sequence[Candidate]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of turns, in order, and for each the number of the stretch it belongs to.

    A stretch is what was said in one go.
    """
    numbers: dict[str, int] = {}
    turns = [
        (numbers.setdefault(c.conversation, len(numbers)), _seconds(c.occurred_at), row)
        for row, c in enumerate(candidates)
        if c.conversation is not None
    ]
    if not turns:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    recorded = np.array([_seconds(candidates[row].recorded_at) for _, _, row in turns])
    conversations, seconds, rows = (np.array(column) for column in zip(*turns, strict=True))
    order = np.lexsort((recorded, seconds, conversations))
    begins = np.diff(conversations[order]) != 0
    begins |= np.diff(seconds[order]) > _LONGEST_PAUSE_SECONDS
    return rows[order], np.cumsum(np.append(0, begins))


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
