"""Order the candidates of one search: the parts of a score, and how they are put together.

Every part is computed from the candidates alone, so the same pool ranks equally in any process.
The weights are explained, with what each part brings, in docs/retrieval.md.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memapp.ranking.candidates import Candidate, Ranked
from memapp.ranking.conversations import neighbours
from memapp.ranking.keywords import PoolTexts, idf, wanted_by
from memapp.ranking.kindred import kindred_terms
from memapp.ranking.lexicon import current_lexicon
from memapp.ranking.phrases import exact_phrases, stands_in
from memapp.ranking.questions import asking_share
from memapp.ranking.times import Span, mentioned_times

Mode = Literal["hybrid", "semantic", "keyword"]

Scores = NDArray[np.float64]
"""One number per candidate, in their order."""

_SEMANTIC_SHARE = 0.45
_KINDRED_WEIGHT = 0.1
_EXACT_WEIGHT = 0.4
_TIME_WEIGHT = 0.25
# People speak of things some days before or after they happen.
_TIME_FADES_WITHIN = timedelta(days=7)
# What a turn that only asks loses of its score.
_ASKING_DISCOUNT = 0.3


def rank(
    query: str,
    candidates: Sequence[Candidate],
    *,
    mode: Mode = "hybrid",
    speakers: Collection[str] = (),
    speaker_boost: float = 0.0,
    now: datetime | None = None,
    limit: int | None = None,
) -> list[Ranked]:
    """Order candidates by how well they answer the query.

    `semantic` is the cosine alone and `keyword` BM25 alone. `hybrid` weighs both about equally,
    each brought to 0..1 within the candidates, and adds what a candidate gains from the words that
    the best have in common, from the query's literal phrases, from its neighbours in a
    conversation, from its speaker and from its time.

    Args:
        query: The question, as it was asked.
        candidates: The pool; a larger one gives better word statistics.
        mode: Which evidence counts.
        speakers: The known speakers that the query names, in lower case. If it is exactly one,
            what this speaker said is preferred.
        speaker_boost: What a memory of that speaker gains, 0 to 1; 0 prefers nobody.
        now: When the query is asked (aware), to understand `last week`.
        limit: How many results at most; by default, all.

    Returns:
        One entry per candidate, best first; equal scores keep the order given.
    """
    if not candidates:
        return []
    match mode:
        case "semantic":
            return rank_by_cosine([c.cosine for c in candidates], limit=limit)
        case "keyword":
            lexicon = current_lexicon()
            texts = PoolTexts(lexicon.recall([c.text for c in candidates]))
            parts = {"keyword": _shares(texts.bm25(wanted_by(lexicon.read(query))))}
        case "hybrid":
            said = speaker_boost * _said_by(speakers, candidates)
            parts = _hybrid(query, candidates, said, exact_phrases(query, without=speakers), now)
    total = np.sum(list(parts.values()), axis=0)
    # The additions may pass 1. One divisor for all keeps the order, and the parts' sum.
    divisor = max(1.0, float(total.max()))
    return [
        Ranked(
            index=row,
            score=min(1.0, float(total[row]) / divisor),
            parts={name: float(values[row]) / divisor for name, values in parts.items()},
        )
        for row in map(int, np.argsort(-total, kind="stable")[:limit])
    ]


def rank_by_cosine(cosines: Sequence[float], *, limit: int | None = None) -> list[Ranked]:
    """Order candidates by their cosines alone, as `rank` does in the mode `semantic`.

    Args:
        cosines: Of the candidates; what is no finite number counts as the least similar.
        limit: How many results at most; by default, all.

    Returns:
        One entry per candidate, best first; equal scores keep the order given.
    """
    scores = [min(1.0, max(0.0, one)) if isfinite(one) else 0.0 for one in cosines]
    rows = sorted(range(len(scores)), key=lambda row: -scores[row])[:limit]
    return [Ranked(row, scores[row], {"semantic": scores[row]}) for row in rows]


def _hybrid(
    query: str,
    candidates: Sequence[Candidate],
    said: Scores,
    phrases: Sequence[str],
    now: datetime | None,
) -> dict[str, Scores]:
    lexicon = current_lexicon()
    read = lexicon.recall([c.text for c in candidates])
    asked = lexicon.read(query)
    texts = PoolTexts(read)
    semantic = _SEMANTIC_SHARE * _spread(_cosines(candidates))
    keyword = (1 - _SEMANTIC_SHARE) * _shares(texts.bm25(wanted_by(asked)))
    related = kindred_terms(read, semantic + keyword, but=asked)
    kindred = _KINDRED_WEIGHT * _shares(texts.bm25(related))
    relevance = semantic + keyword + kindred
    parts = {
        "semantic": semantic,
        "keyword": keyword,
        "kindred": kindred,
        "exact": _EXACT_WEIGHT * _containing(phrases, candidates),
        "neighbours": neighbours(relevance, candidates),
        "speaker": said,
        "time": _TIME_WEIGHT * _timely(query, now, candidates),
    }
    kept = 1 - _ASKING_DISCOUNT * _asking(candidates)
    return {name: values * kept for name, values in parts.items()}


def _shares(values: Scores) -> Scores:
    """Divide by the greatest; nothing above 0 stays nothing."""
    greatest = values.max()
    return values / greatest if greatest > 0 else values


def _cosines(candidates: Sequence[Candidate]) -> Scores:
    """Return the cosines; what is no finite number counts as the least similar."""
    cosines = np.array([c.cosine for c in candidates], dtype=np.float64)
    return np.where(np.isfinite(cosines), cosines, -1.0)


def _spread(values: Scores) -> Scores:
    """Bring values to 0..1 by least and greatest; all equal means that all are the best."""
    least, greatest = values.min(), values.max()
    if greatest <= least:
        return np.ones_like(values)
    return np.asarray((values - least) / (greatest - least))


def _containing(phrases: Sequence[str], candidates: Sequence[Candidate]) -> Scores:
    """Return how much of the phrases each text contains as whole words, the rarer the more."""
    contained = np.zeros(len(candidates))
    if not phrases:
        return contained
    texts = [candidate.text.lower() for candidate in candidates]
    for phrase in phrases:
        lower = phrase.lower()
        rows = [row for row, text in enumerate(texts) if lower in text and stands_in(lower, text)]
        contained[rows] += idf(len(rows), len(texts)) / idf(0, len(texts))
    return contained / len(phrases)


def _said_by(speakers: Collection[str], candidates: Sequence[Candidate]) -> Scores:
    """Return 1 for what the one named speaker said, else 0."""
    if len(speakers) != 1:
        return np.zeros(len(candidates))
    (name,) = speakers
    return np.array(
        [c.speaker is not None and c.speaker.lower() == name for c in candidates], dtype=np.float64
    )


def _timely(query: str, now: datetime | None, candidates: Sequence[Candidate]) -> Scores:
    """Return how near each is to the times that the query mentions."""
    if all(candidate.occurred_at is None for candidate in candidates):
        return np.zeros(len(candidates))
    return _within(mentioned_times(query, now), candidates)


def _within(spans: Sequence[Span], candidates: Sequence[Candidate]) -> Scores:
    """Return 1 for what occurred in one of the spans, fading to 0 within days around it."""
    nearness = np.zeros(len(candidates))
    for row, candidate in enumerate(candidates) if spans else ():
        if candidate.occurred_at is not None:
            moment = candidate.occurred_at.astimezone(UTC)
            away = min(max(s.start - moment, moment - s.end, timedelta(0)) for s in spans)
            nearness[row] = max(0.0, 1 - away / _TIME_FADES_WITHIN)
    return nearness


def _asking(candidates: Sequence[Candidate]) -> Scores:
    """Return the share of questions in what was said; a document's passages are not judged."""
    return np.array(
        [
            asking_share(c.text) if c.speaker is not None or c.conversation is not None else 0.0
            for c in candidates
        ]
    )
