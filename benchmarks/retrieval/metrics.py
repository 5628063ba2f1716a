"""How good one ranking is; all values are shares, 0 to 1. Relevance is yes or no."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

Stretch = tuple[int, int]
"""Offsets in one text: the first character, and one past the last."""


def recall_at(limit: int, ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Return the share of the relevant that is among the first `limit`.

    What Anthropic's contextual-retrieval cookbook calls Pass@k is the mean of this.
    """
    return len(set(ranked[:limit]) & set(relevant)) / len(relevant)


def ndcg_at(limit: int, ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Return the discounted gain of the first `limit`, by that of the best ranking there is."""
    gained = sum(
        1 / math.log2(rank + 1)
        for rank, found in enumerate(ranked[:limit], start=1)
        if found in relevant
    )
    possible = min(limit, len(relevant))
    return gained / sum(1 / math.log2(rank + 1) for rank in range(1, possible + 1))


def reciprocal_rank(ranked: Sequence[str], relevant: Collection[str]) -> float:
    """Return one by the rank of the first relevant; 0 if there is none."""
    return next((1 / rank for rank, one in enumerate(ranked, start=1) if one in relevant), 0.0)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well passages cover what answers a question, counted in characters.

    The definitions are those of Chroma's "Evaluating Chunking Strategies for Retrieval" (2024):
    what two passages share counts once as found, and each time as retrieved.

    Attributes:
        recall: Share of the answer's characters that the passages contain.
        precision: Share of the retrieved characters that belong to the answer.
        iou: Found characters, by all that were retrieved or wanted.
    """

    recall: float
    precision: float
    iou: float


def coverage(
    passages: Iterable[Stretch], answers: Iterable[Stretch], *, elsewhere: int = 0
) -> Coverage:
    """Compare passages with the stretches that answer a question, in one text.

    Args:
        passages: What was retrieved of the text.
        answers: What should be.
        elsewhere: Characters that were retrieved from other texts.
    """
    stretches = list(passages)
    wanted = {at for start, end in answers for at in range(start, end)}
    found = len({at for start, end in stretches for at in range(start, end)} & wanted)
    retrieved = elsewhere + sum(end - start for start, end in stretches)
    return Coverage(
        recall=found / len(wanted),
        precision=found / retrieved if retrieved else 0.0,
        iou=found / (retrieved + len(wanted) - found),
    )
