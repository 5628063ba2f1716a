"""What is measured: operations, and the calls that each is made of."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.service import texts
from benchmarks.service.calls import BATCH, Call, Kind, Mode
from benchmarks.service.corpus import FRESH_QUESTIONS, Corpus


@dataclass(frozen=True)
class Operation:
    """One thing to measure.

    Attributes:
        name: For the command line and the tables.
        title: What it is, in words.
        shares: Kinds of calls and how many of a hundred each gets.
        clients: Numbers of clients at the same time.
        mode: How searches rank.
        limit: Results of a search.
        is_distinct: Every question is new to everybody, so that embedding it is part of the task.
        most: Calls of one client in a turn at most; None leaves it to the time.
        ceiling: Requests a second that nobody reaches.
    """

    name: str
    title: str
    shares: Mapping[Kind, int]
    clients: tuple[int, ...]
    mode: Mode = "semantic"
    limit: int = 10
    is_distinct: bool = False
    most: int | None = None
    ceiling: int = 6000


OPERATIONS = (
    Operation("search", "search, vectors cached", {"search": 100}, (1, 8, 32)),
    Operation(
        "search-hybrid", "hybrid search, vectors cached", {"search": 100}, (8,), mode="hybrid"
    ),
    Operation(
        "search-distinct",
        "search, embedding included",
        {"search": 100},
        (1, 8, 32),
        is_distinct=True,
    ),
    Operation("get", "get by id", {"get": 100}, (1, 8, 32)),
    Operation("page", "list a page of 50", {"page": 100}, (8,)),
    Operation("add", "add one", {"add": 100}, (1, 8, 32), ceiling=2000),
    Operation("mix-10", "90 % search, 10 % add", {"search": 90, "add": 10}, (8,)),
    Operation("mix-20", "80 % search, 20 % add", {"search": 80, "add": 20}, (8, 32)),
    Operation("update", "change the text", {"update": 100}, (8,), ceiling=2000),
    Operation("delete", "delete by id", {"delete": 100}, (8,), most=10, ceiling=2000),
    Operation("batch", "add a batch of 100", {"batch": 100}, (1, 8), ceiling=60),
    Operation("retrieve", "retrieve passages", {"retrieve": 100}, (1, 8, 32), limit=5),
    Operation(
        "retrieve-hybrid", "hybrid retrieve", {"retrieve": 100}, (8,), mode="hybrid", limit=5
    ),
    Operation("ingest", "ingest a document", {"ingest": 100}, (1,), ceiling=10),
)
"""In the order in which they are measured: what changes nothing, or little, comes first."""


@dataclass
class Progress:
    """How far one contestant has come in what may be used only once: numbers to take next."""

    addition: int
    question: int = FRESH_QUESTIONS
    document: int = 0
    deletion: int = 0
    rates: dict[tuple[str, int], float] = field(default_factory=dict)


def calls_for(
    operation: Operation,
    corpus: Corpus,
    progress: Progress,
    *,
    clients: int,
    amount: int,
    seed: str,
) -> list[list[Call]]:
    """Return `amount` calls for each client; the same seed gives everybody the same choice."""
    turn = _Turn(operation, corpus, progress, random.Random(seed))  # noqa: S311 - no secret
    kinds, weights = list(operation.shares), list(operation.shares.values())
    return [
        [
            turn.call(kind, index * clients + client)
            for index, kind in enumerate(turn.choice.choices(kinds, weights, k=amount))
        ]
        for client in range(clients)
    ]


def advance(progress: Progress, shares: Mapping[Kind, int], used: int) -> None:
    """Step over what a turn has used; `used` counts calls, of all clients."""
    progress.addition += used * (BATCH if "batch" in shares else 1)
    progress.question += used
    progress.document += used
    if "delete" in shares:
        progress.deletion += used


@dataclass(frozen=True)
class _Turn:
    """Writes the calls of one turn; `index` counts them over all clients."""

    operation: Operation
    corpus: Corpus
    progress: Progress
    choice: random.Random

    def call(self, kind: Kind, index: int) -> Call:
        corpus, progress = self.corpus, self.progress
        match kind:
            case "add" | "batch":
                return self._addition(kind, index)
            case "search" | "retrieve":
                return self._question(kind, index)
            case "get" | "page":
                number = self._existing()
                return Call(kind, user=corpus.user(number), number=number)
            case "update":
                number, fresh = self._existing(), progress.addition + index
                user, text, row = corpus.user(number), texts.memory(fresh), corpus.row(fresh)
                return Call(kind, user=user, number=number, texts=[text], rows=[row])
            case "delete":
                number = corpus.memories - 1 - progress.deletion - index
                return Call(kind, user=corpus.user(number), number=number)
            case "ingest":
                number = _FIRST_INGESTED + progress.document + index
                return Call(kind, number=number, texts=[corpus.document(number)])

    def _addition(self, kind: Kind, index: int) -> Call:
        count = BATCH if kind == "batch" else 1
        number = self.progress.addition + index * count
        numbers = range(number, number + count)
        return Call(
            kind,
            user=self.corpus.user(number // count),
            number=number,
            texts=[texts.memory(one) for one in numbers],
            rows=[self.corpus.row(one) for one in numbers],
        )

    def _question(self, kind: Kind, index: int) -> Call:
        rows: Sequence[int] = []
        if self.operation.is_distinct:
            number = self.progress.question + index
        else:
            number = self.choice.randrange(self.corpus.questions)
            rows = [self.corpus.question_row(number)]
        user = self.choice.randrange(self.corpus.users)
        return Call(
            kind,
            user=self.corpus.user(user) if kind == "search" else "",
            texts=[texts.question(number)],
            rows=rows,
            limit=self.operation.limit,
            mode=self.operation.mode,
        )

    def _existing(self) -> int:
        """Return the number of one of the memories that are never deleted."""
        return self.choice.randrange(self.corpus.memories - deletable(self.corpus))


def deletable(corpus: Corpus) -> int:
    """Return how many memories, the last ones, may be deleted."""
    return corpus.memories // 4


_FIRST_INGESTED = 100_000
"""Above the numbers of all documents of a library."""
