"""What goes into ranking and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Candidate(NamedTuple):
    """A text that may answer the query.

    Attributes:
        text: What keyword scoring sees; `lexical_text` and `passage_text` write it.
        cosine: Cosine similarity of its vector to the query's, -1 to 1.
        conversation: The conversation it is a turn of; None for everything else.
        occurred_at: When it was said or happened (aware); orders the turns of a conversation.
        recorded_at: When it was stored (aware); orders turns that occurred at the same time.
        speaker: Who said it; None for everything else.
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
