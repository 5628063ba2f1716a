"""Let a turn of a conversation profit from the turns around it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

# Share of a neighbour's score by distance; measured in docs/retrieval.md.
NEIGHBOUR_WEIGHTS = (0.3, 0.2)


def neighbours(
    scores: NDArray[np.float64],
    conversations: Sequence[str | None],
    times: Sequence[tuple[datetime | None, datetime | None]],
) -> NDArray[np.float64]:
    """Return what each turn gains from the turns before and after it in its own conversation.

    Turns are ordered by time, and in the given order where times are equal or missing. A turn
    that is not among them is not waited for: the next one found counts as the neighbour.

    Args:
        scores: Shape (turns,), 0 and above.
        conversations: One per score; None belongs to no conversation and gains nothing.
        times: When each turn occurred and when it was recorded; only their order counts.

    Returns:
        Shape (turns,), 0 and above; at most twice the sum of `NEIGHBOUR_WEIGHTS` per unit of score.
    """
    gains = np.zeros_like(scores)
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, conversation in enumerate(conversations):
        if conversation is not None:
            rows_of[conversation].append(row)
    for rows in rows_of.values():
        if len(rows) == 1:
            continue
        ordered = np.array(sorted(rows, key=lambda row: [_moment(time) for time in times[row]]))
        own = scores[ordered]
        gained = np.zeros_like(own)
        for distance, weight in enumerate(NEIGHBOUR_WEIGHTS, start=1):
            gained[distance:] += weight * own[:-distance]
            gained[:-distance] += weight * own[distance:]
        gains[ordered] = gained
    return gains


def _moment(time: datetime | None) -> float:
    """Return a sort key; a time without a zone is taken as UTC, a missing one comes first."""
    if time is None:
        return float("-inf")
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
