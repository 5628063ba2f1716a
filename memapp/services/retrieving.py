"""Find the passages of documents that answer a question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memapp.filters import FieldKind, Filter, matches, record_value
from memapp.ports import DocumentStore
from memapp.ranking import Candidate, Mode, exact_phrases, passage_text, rank, scarce_phrases
from memapp.records import Document, NearChunk, Passage, Vector
from memapp.services.gathering import gathered

DOCUMENT_FIELDS: Mapping[str, FieldKind] = {
    "title": "text",
    "source": "text",
    "created_at": "time",
    "updated_at": "time",
}
"""What a filter may name besides `metadata.<key>`."""

ENOUGH = 20
"""A phrase that so many of the nearest chunks contain is not looked up: they are its nearest, and
one that is so common tells little."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A question to some collections.

    Attributes:
        query: The question.
        collections: Where to look; at least one.
        limit: How many passages at most.
        condition: What their documents must satisfy.
        mode: Which evidence counts.
        min_score: Passages below it (0 to 1) are left out.
        explain: Give the parts of each score.
        max_characters: Longest context; None means no limit.
    """

    query: str
    collections: tuple[str, ...]
    limit: int = 5
    condition: Filter | None = None
    mode: Mode = "hybrid"
    min_score: float | None = None
    explain: bool = False
    max_characters: int | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages, best first, and the same as text for a prompt."""

    passages: list[Passage]
    context: str


def passages_to_rank(
    store: DocumentStore,
    tenant: str,
    collection: str,
    retrieval: Retrieval,
    vector: Vector,
    *,
    pool: int,
) -> list[NearChunk]:
    """Return what a collection has to offer: its nearest chunks, and those with scarce phrases.

    Args:
        store: Where to look.
        tenant: Whose data it is.
        collection: Which collection.
        retrieval: The question.
        vector: The question's, shape (dimensions,).
        pool: How many of the nearest chunks are ranked.
    """
    condition, is_semantic = retrieval.condition, retrieval.mode == "semantic"

    def phrases(nearest: Sequence[NearChunk]) -> Sequence[str]:
        if is_semantic:
            return ()
        texts = (found.chunk.text for found in nearest)
        return scarce_phrases(exact_phrases(retrieval.query), texts, below=ENOUGH)

    return gathered(
        lambda limit: store.nearest(tenant, collection, vector, limit, condition),
        lambda phrases, limit: store.containing(
            tenant, collection, phrases, vector, limit, condition=condition
        ),
        accepts=lambda found: _accepts(condition, found.document),
        phrases=phrases,
        key=lambda found: (found.document.id, found.chunk.index),
        wanted=retrieval.limit if is_semantic else max(pool, retrieval.limit),
    )


def ranked_passages(retrieval: Retrieval, pool: list[NearChunk]) -> list[Passage]:
    """Return the best of what was gathered, best first."""
    candidates = [_candidate(near) for near in pool]
    ranked = rank(retrieval.query, candidates, mode=retrieval.mode, limit=retrieval.limit)
    least = 0.0 if retrieval.min_score is None else retrieval.min_score
    return [
        Passage(
            pool[r.index].document,
            pool[r.index].chunk,
            r.score,
            r.parts if retrieval.explain else None,
        )
        for r in ranked
        if r.score >= least
    ]


def _accepts(condition: Filter | None, document: Document) -> bool:
    return condition is None or matches(condition, lambda field: _value(document, field))


def _value(document: Document, field: str) -> Any:
    return record_value(field, document.metadata, lambda name: getattr(document, name))


def _candidate(near: NearChunk) -> Candidate:
    chunk = near.chunk
    return Candidate(passage_text(near.document.title, chunk.heading, chunk.text), near.cosine)
