"""Score texts for a query: pure functions, no I/O."""

from memapp.ranking.candidates import Candidate, Ranked
from memapp.ranking.phrases import exact_phrases, scarce_phrases
from memapp.ranking.scoring import Mode, rank, rank_by_cosine
from memapp.ranking.speakers import name_candidates, without_names
from memapp.ranking.wording import (
    lexical_text,
    memory_embedding_text,
    passage_embedding_text,
    passage_text,
)

__all__ = [
    "Candidate",
    "Mode",
    "Ranked",
    "exact_phrases",
    "lexical_text",
    "memory_embedding_text",
    "name_candidates",
    "passage_embedding_text",
    "passage_text",
    "rank",
    "rank_by_cosine",
    "scarce_phrases",
    "without_names",
]
