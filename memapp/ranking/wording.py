"""How memories and passages are worded for keyword scoring and for the embedder.

The single place that decides it: a change here means that stored vectors must be made again.
"""

from datetime import datetime

from memapp.ranking.identifiers import looks_like_code, with_identifiers_spelled_out
from memapp.ranking.times import MONTHS


def lexical_text(speaker: str | None, occurred_at: datetime | None, text: str) -> str:
    """Word a memory for keyword scoring: `Caroline (8 May 2023): text`."""
    if speaker is None:
        return text
    if occurred_at is None:
        return f"{speaker}: {text}"
    return (
        f"{speaker} ({occurred_at.day} {MONTHS[occurred_at.month - 1]} {occurred_at.year}): {text}"
    )


def memory_embedding_text(text: str) -> str:
    """Word a memory for the embedder: the text alone.

    Speakers and dates are left to keyword scoring and to the speaker's part of the score.
    """
    return text


def passage_text(title: str, heading: str, text: str) -> str:
    """Word a passage for keyword scoring: its title and heading path above its text."""
    if title and heading and text:
        return f"{title}\n{heading}\n{text}"
    return "\n".join(filter(None, (title, heading, text)))


def passage_embedding_text(title: str, heading: str, text: str) -> str:
    """Word a passage for the embedder: its title and heading path above its text.

    In program code the identifiers are spelled out (`readFile` becomes `read File`), because the
    embedder knows words and not names made of them.
    """
    worded = passage_text(title, heading, text)
    return with_identifiers_spelled_out(worded) if looks_like_code(text) else worded
