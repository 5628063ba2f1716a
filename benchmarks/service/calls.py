"""What a contestant is asked to do, in no contestant's language; needs no installed package."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Literal

Kind = Literal["add", "batch", "search", "get", "page", "update", "delete", "ingest", "retrieve"]

Mode = Literal["semantic", "hybrid"]

BATCH = 100
"""Memories in one call of kind `batch`."""

PAGE = 50
"""Memories on one page."""

POOL = 200
"""Nearest texts that memapp ranks in hybrid mode; whoever has no such mode is asked for as many."""


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to do.

    Attributes:
        kind: What.
        user: Whose memories it is about; empty for documents.
        number: The first memory or the document it is about; -1 if it is about none.
        texts: What to store, or the one question.
        rows: Rows of the given vectors of `texts`; empty if embedding is part of the task.
        limit: How many results are wanted.
        mode: How to rank, for contestants that know several ways.
    """

    kind: Kind
    user: str = ""
    number: int = -1
    texts: Sequence[str] = ()
    rows: Sequence[int] = ()
    limit: int = 10
    mode: Mode = "semantic"

    @property
    def candidates(self) -> int:
        """How many records the store must hand out for the answer."""
        return POOL if self.mode == "hybrid" else self.limit


def dump_calls(calls: Sequence[Sequence[Call]]) -> str:
    """Write the calls of several clients as one line of JSON."""
    return json.dumps([[astuple(call) for call in client] for client in calls])


def load_calls(line: str) -> list[list[Call]]:
    """Read what `dump_calls` wrote."""
    return [[Call(*fields) for fields in client] for client in json.loads(line)]
