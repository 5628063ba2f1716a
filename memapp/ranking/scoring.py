"""Order the candidates of one search: the scores, and how they are put together.

Every part is computed from the candidates alone, so equal candidates rank equally in any process.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.conversations import neighbours
from memapp.ranking.keywords import bm25
from memapp.ranking.words import query_terms, terms

Mode = Literal["hybrid", "semantic", "keyword"]

Scores = NDArray[np.float64]

# Measured in docs/retrieval.md.
_SEMANTIC_SHARE = 0.5
_SPEAKER_BOOST = 0.25


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that may answer the query.

    Attributes:
        text: What keyword scoring sees; `lexical_text` and `passage_text` write it.
        cosine: Cosine similarity of its vector to the query's, -1 to 1.
        conversation: The conversation it is a turn of; None for everything else.
        occurred_at: When it was said or happened; orders the turns of a conversation.
        recorded_at: Orders turns that occurred at the same time.
        speaker: Who said it.
    """

    text: str
    cosine: float
    conversation: str | None = None
    occurred_at: datetime | None = None
    recorded_at: datetime | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """One candidate's place in the result.

    Attributes:
        index: Its position among the candidates given.
        score: 0 to 1, higher is better; comparable within one result only.
        parts: What makes up the score, by name; they add up to it.
    """

    index: int
    score: float
    parts: Mapping[str, float]


def rank(
    query: str,
    candidates: Sequence[Candidate],
    *,
    mode: Mode = "hybrid",
    speakers: Collection[str] = (),
) -> list[Ranked]:
    """Order candidates by how well they answer the query.

    `semantic` is the cosine alone and `keyword` BM25 alone. `hybrid` is the mean of both, each
    brought to 0..1 within the candidates, and adds what a turn gains from its neighbours and from
    its speaker.

    Args:
        query: The question, as it was asked.
        candidates: The pool; a larger one gives better word statistics.
        mode: Which evidence counts.
        speakers: The known speakers that the query names, in lower case. If it is exactly one,
            what this speaker said is preferred; leave it empty to prefer nobody.

    Returns:
        One entry per candidate, best first; equal scores keep the order given.
    """
    if not candidates:
        return []
    parts = _parts(query, candidates, mode, speakers)
    total = np.sum(list(parts.values()), axis=0)
    # The additions may pass 1. One divisor for all keeps the order, and the parts' sum.
    divisor = max(1.0, float(total.max()))
    order = np.argsort(-total, kind="stable")
    return [
        Ranked(
            index=int(row),
            score=min(1.0, float(total[row]) / divisor),
            parts={name: float(values[row]) / divisor for name, values in parts.items()},
        )
        for row in order
    ]


def _parts(
    query: str, candidates: Sequence[Candidate], mode: Mode, speakers: Collection[str]
) -> dict[str, Scores]:
    if mode == "semantic":
        return {"semantic": np.clip(_cosines(candidates), 0.0, 1.0)}
    keyword = _shares(bm25(query_terms(query), [terms(c.text) for c in candidates]))
    if mode == "keyword":
        return {"keyword": keyword}
    semantic = _spread(_cosines(candidates)) * _SEMANTIC_SHARE
    keyword = keyword * (1 - _SEMANTIC_SHARE)
    return {
        "semantic": semantic,
        "keyword": keyword,
        "neighbours": neighbours(
            semantic + keyword,
            [c.conversation for c in candidates],
            [(c.occurred_at, c.recorded_at) for c in candidates],
        ),
        "speaker": _preferred(candidates, speakers) * _SPEAKER_BOOST,
    }


def _cosines(candidates: Sequence[Candidate]) -> Scores:
    """Return the cosines; one that is no number counts as the least similar."""
    return np.nan_to_num(
        np.array([c.cosine for c in candidates], dtype=np.float64), nan=-1.0, posinf=1.0, neginf=-1
    )


def _spread(values: Scores) -> Scores:
    """Bring values to 0..1 by least and greatest; all equal means that all are the best."""
    least, greatest = values.min(), values.max()
    if greatest <= least:
        return np.ones_like(values)
    return np.asarray((values - least) / (greatest - least))


def _shares(values: Scores) -> Scores:
    """Divide by the greatest; nothing above 0 stays nothing."""
    greatest = values.max()
    return values / greatest if greatest > 0 else np.zeros_like(values)


def _preferred(candidates: Sequence[Candidate], speakers: Collection[str]) -> Scores:
    """Return 1 for what the one named speaker said, else 0."""
    preferred = np.zeros(len(candidates))
    if len(speakers) == 1:
        (name,) = speakers
        for row, candidate in enumerate(candidates):
            preferred[row] = candidate.speaker is not None and candidate.speaker.lower() == name
    return preferred
