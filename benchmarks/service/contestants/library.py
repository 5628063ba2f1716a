"""What a library does with calls, inside a worker process."""

from collections.abc import Sequence
from typing import Protocol

from benchmarks.service.calls import Call


class Library(Protocol):
    """A client library over a store; safe for several threads."""

    def do(self, call: Call) -> list[str]:
        """Do one call; return the texts found, if it looks for any.

        Raises:
            RuntimeError: the answer is not what the call asks for.
        """
        ...

    def load(self, users: Sequence[str], numbers: Sequence[Sequence[int]]) -> None:
        """Store memories by number, those of each user in a list of its own."""
        ...

    def fill_library(self, texts: Sequence[str], first_row: int) -> None:
        """Store chunks of documents, with their vectors from `first_row` on."""
        ...
