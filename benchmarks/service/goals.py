"""What memapp must reach, and whether it does."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.service.results import Results, Spread, Turn, ratio

Measure = Callable[[Results], Spread | None]


@dataclass(frozen=True)
class Goal:
    """One thing to reach.

    Attributes:
        what: The operation.
        against: What it is compared with.
        wanted: The bound.
        is_least: The value must be at least `wanted`; else at most.
        unit: Of the value; empty for a ratio.
        measure: Finds the value; None if it was not measured.
    """

    what: str
    against: str
    wanted: float
    measure: Measure
    is_least: bool = True
    unit: str = ""


@dataclass(frozen=True)
class Verdict:
    """A goal, what was reached, and whether that is enough; None if it was not measured."""

    goal: Goal
    reached: Spread | None
    is_met: bool | None


def verdicts(results: Results) -> list[Verdict]:
    """Judge a run; goals are meant for the full size."""
    return [_judge(goal, results) for goal in GOALS]


def _judge(goal: Goal, results: Results) -> Verdict:
    reached = goal.measure(results)
    if reached is None:
        return Verdict(goal, None, None)
    is_met = reached.median >= goal.wanted if goal.is_least else reached.median <= goal.wanted
    return Verdict(goal, reached, is_met)


def _faster(operation: str, clients: int, than: str, who: str = "memapp") -> Measure:
    """Compare the rates of two contestants at the same operation."""

    def measure(results: Results) -> Spread | None:
        ours = results.of(operation, clients, who)
        return ratio(ours, results.of(operation, clients, than))

    return measure


def _with_writes(results: Results) -> Spread | None:
    """Compare searches among writes with searches alone."""
    return ratio(results.of("mix-10", 8, "memapp"), results.of("search", 8, "memapp"))


def _growth(results: Results) -> Spread | None:
    """Compare the median time of a search in the largest population with that in the main one."""
    by_population: dict[str, list[Turn]] = {}
    for turn in results.turns:
        if (turn.operation, turn.clients, turn.contestant) == ("growth", 1, "memapp"):
            by_population.setdefault(turn.population, []).append(turn)
    main = {turn.round: turn for turn in by_population.get(results.population, [])}
    if not main or len(by_population) < 2:
        return None
    largest = max(by_population.values(), key=lambda turns: _memories(turns[0].population))
    return Spread.of(turn.p50 / main[turn.round].p50 for turn in largest if turn.round in main)


def _memories(population: str) -> int:
    """Return the memories of a population as `Corpus.label` words it."""
    count = population.partition("/")[0]
    return int(count[:-1]) * 1000 if count.endswith("k") else int(count)


def _recall(users: int) -> Measure:
    def measure(results: Results) -> Spread | None:
        found = [
            one.recall
            for one in results.recalls
            if one.contestant == "memapp" and one.population.endswith(f"/{users}")
        ]
        return Spread.of(found) if found else None

    return measure


def _service_memory(results: Results) -> Spread | None:
    found = [
        one.service
        for one in results.memories
        if one.contestant == "memapp" and one.moment == "documents ingested"
    ]
    return Spread.of(found) if found else None


def _memory_growth(results: Results) -> Spread | None:
    """Return by how much memory grew after the first sixth of the searches, in parts of it."""
    found = [
        one.service
        for one in results.memories
        if one.contestant == "memapp" and one.moment.endswith("searches")
    ]
    return Spread.of([found[-1] / found[0]]) if len(found) > 1 else None


def _starts(results: Results) -> Spread | None:
    return Spread.of(results.starts) if results.starts else None


GOALS = (
    Goal(
        "search, vectors cached, without the user cache, c8",
        "client",
        1.0,
        _faster("search", 8, "client", "memapp-pool"),
    ),
    Goal(
        "search, vectors cached, without the user cache, c32",
        "client",
        1.0,
        _faster("search", 32, "client", "memapp-pool"),
    ),
    Goal("search, vectors cached, c8", "client", 1.5, _faster("search", 8, "client")),
    Goal("search, vectors cached, c32", "client", 1.5, _faster("search", 32, "client")),
    *(
        Goal(
            f"search, vectors cached, with `ONE_HOST`, c{clients}",
            against,
            wanted,
            _faster("search", clients, against, "memapp-one-host"),
        )
        for clients in (8, 32)
        for against, wanted in (("client", 3), ("rest", 2), ("where", 8), ("mem0", 30))
    ),
    Goal("search, vectors cached, c8", "where", 8, _faster("search", 8, "where")),
    Goal("search, vectors cached, c32", "where", 8, _faster("search", 32, "where")),
    Goal("search, vectors cached, c8", "mem0", 30, _faster("search", 8, "mem0")),
    Goal("search, vectors cached, c32", "mem0", 30, _faster("search", 32, "mem0")),
    Goal("90 % search, 10 % add, c8", "memapp searching only", 0.5, _with_writes),
    Goal(
        "search, embedding included, c8",
        "mem0 with the same model in float32",
        10,
        _faster("search-distinct", 8, "mem0"),
    ),
    Goal(
        "median time of a search in the largest population, c1",
        "memapp in the main one",
        1.5,
        _growth,
        is_least=False,
    ),
    *(
        Goal(f"recall@10 with {users} users", "brute force", 0.99, _recall(users))
        for users in (5, 50, 500)
    ),
    Goal(
        "add one, embedding included, c32",
        "client with given vectors",
        1.5,
        _faster("add", 32, "client"),
    ),
    Goal(
        "add one, embedding included, one worker of 32 threads, c32",
        "client with given vectors",
        2.5,
        _faster("add", 32, "client", "memapp-1x32"),
    ),
    Goal(
        "add a batch of 100, embedding included, c1",
        "mem0 with given vectors",
        20,
        _faster("batch", 1, "mem0"),
    ),
    Goal("get by id, c8", "client", 0.9, _faster("get", 8, "client")),
    Goal(
        "retrieve 5 passages, vectors cached, c8", "client", 0.9, _faster("retrieve", 8, "client")
    ),
    Goal(
        "hybrid retrieve of a pool of 200, c8",
        "client asking for 200",
        0.9,
        _faster("retrieve-hybrid", 8, "client"),
    ),
    Goal("ingest a document, embedding included", "script", 8, _faster("ingest", 1, "script")),
    Goal(
        "memory of all workers after the ingest",
        "",
        600,
        _service_memory,
        is_least=False,
        unit="MB",
    ),
    Goal("start to the first answered search", "", 4, _starts, is_least=False, unit="s"),
    Goal(
        "memory after all searches",
        "after the first sixth",
        1.05,
        _memory_growth,
        is_least=False,
    ),
)
"""Every goal, in the order of the table."""
