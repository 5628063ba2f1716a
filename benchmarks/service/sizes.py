"""How much is measured: tiny for the tests, small for work on the code, full for the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service.corpus import Corpus


@dataclass(frozen=True)
class Population:
    """So many memories, dealt out to so many users."""

    memories: int
    users: int


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        name: For the command line.
        population: What most is measured with.
        growth: What growth is measured with, the main population among them.
        additions: Vectors at hand for memories to be added.
        questions: Questions that come again and again.
        documents: Documents in the library.
        document_characters: Length of each, and of those that are ingested.
        rounds: Turns of each contestant that count.
        seconds: Length of a turn.
        clients: Numbers of clients at the same time, of those an operation names; the last if it
            names none of them.
        recall_searches: Searches that are compared with brute force.
        flat_requests: Requests over which memory must stay flat.
        starts: How often gunicorn is started anew.
        processes: Workers of gunicorn, and processes that use a library.
    """

    name: str
    population: Population
    growth: tuple[Population, ...]
    additions: int
    questions: int
    documents: int
    document_characters: int
    rounds: int
    seconds: float
    clients: tuple[int, ...]
    recall_searches: int
    flat_requests: int
    starts: int
    processes: int

    def clients_for(self, named: Sequence[int]) -> Sequence[int]:
        """Return the numbers of clients with which an operation is measured that names some."""
        return [clients for clients in named if clients in self.clients] or self.clients[-1:]

    def corpus(self, population: Population, cache: Path, *, documents: bool) -> Corpus:
        """Return the corpus of a population, with the library or without."""
        return Corpus(
            memories=population.memories,
            users=population.users,
            additions=self.additions,
            questions=self.questions,
            documents=self.documents if documents else 0,
            document_characters=self.document_characters,
            cache=cache,
        )


SIZES = {
    "tiny": Size(
        name="tiny",
        population=Population(200, 2),
        growth=(Population(200, 2), Population(100, 4)),
        additions=200,
        questions=5,
        documents=2,
        document_characters=3000,
        rounds=1,
        seconds=0.1,
        clients=(2,),
        recall_searches=4,
        flat_requests=40,
        starts=1,
        processes=1,
    ),
    "small": Size(
        name="small",
        population=Population(2000, 5),
        growth=(Population(1000, 5), Population(2000, 5), Population(2000, 50)),
        additions=4000,
        questions=30,
        documents=8,
        document_characters=20_000,
        rounds=3,
        seconds=0.7,
        clients=(1, 8, 32),
        recall_searches=40,
        flat_requests=4000,
        starts=2,
        processes=4,
    ),
    "full": Size(
        name="full",
        population=Population(10_000, 5),
        growth=(
            Population(1000, 5),
            Population(10_000, 5),
            Population(10_000, 50),
            Population(10_000, 500),
            Population(100_000, 1000),
        ),
        additions=20_000,
        questions=50,
        documents=95,
        document_characters=150_000,
        rounds=5,
        seconds=2.0,
        clients=(1, 8, 32),
        recall_searches=200,
        flat_requests=50_000,
        starts=5,
        processes=4,
    ),
}
