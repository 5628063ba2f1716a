"""What the benchmark asks of everyone who takes part."""

from collections.abc import Sequence
from typing import Protocol

from benchmarks.service.calls import Call, Kind
from benchmarks.service.closed_loop import ClientLog
from benchmarks.service.corpus import Corpus


class Contestant(Protocol):
    """Someone who holds a corpus and answers calls about it.

    Attributes:
        name: What it is called in tables.
        corpus: What it holds.
    """

    name: str
    corpus: Corpus

    @property
    def kinds(self) -> frozenset[Kind]:
        """The calls it knows."""
        ...

    def start(self) -> None:
        """Start its processes and store the corpus's memories."""
        ...

    def fill_library(self) -> None:
        """Store the corpus's documents, if it knows `retrieve`."""
        ...

    def drive(self, calls: Sequence[Sequence[Call]], seconds: float) -> list[ClientLog]:
        """Let one client for each list of calls work through it, for `seconds` at most."""
        ...

    def answer(self, call: Call) -> list[str]:
        """Return the texts that answer one call of kind `search` or `retrieve`, best first.

        Raises:
            RuntimeError: it refused the call; with its reason.
        """
        ...

    def service_processes(self) -> list[int]:
        """Return the roots of the processes that serve, without the store's."""
        ...

    def store_processes(self) -> list[int]:
        """Return the roots of the store's processes, if they are others."""
        ...

    def stop(self) -> None:
        """Stop its processes."""
        ...
