"""What a run has found, as plain values that go to JSON and back."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Turn:
    """One contestant doing one operation for a short while.

    Attributes:
        population: What the contestant holds, for instance `10k/5`.
        operation: Name of the operation.
        clients: Clients at the same time.
        contestant: Its name.
        round: Turns of the same round lie close together in time and may be compared.
        requests: Requests answered.
        rate: Requests a second.
        p50: Median time of a request, milliseconds.
        p95: 95 % of the requests took no longer, milliseconds.
        failures: Requests that were not answered with success.
        first_failure: The first of these answers.
        service_cpu: Processor time of the service per request, milliseconds.
        store_cpu: That of the store.
        generator_share: Part of one core that the load generator used, 0 to 1.
    """

    population: str
    operation: str
    clients: int
    contestant: str
    round: int
    requests: int
    rate: float
    p50: float
    p95: float
    failures: int
    first_failure: str
    service_cpu: float
    store_cpu: float
    generator_share: float


@dataclass(frozen=True, slots=True)
class Recall:
    """How many of the ten nearest memories of a user a search finds.

    Attributes:
        population: What the contestant holds.
        contestant: Its name.
        searches: How many were compared with brute force.
        recall: Mean part that was found, 0 to 1.
    """

    population: str
    contestant: str
    searches: int
    recall: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of all processes of a contestant at one moment: PSS in MB of 1,000,000 bytes."""

    contestant: str
    moment: str
    service: float
    store: float


@dataclass
class Results:
    """Everything a run has found.

    Attributes:
        machine: What it ran on, and with what settings.
        turns: In the order in which they were taken.
        recalls: Recall of each contestant by population.
        memories: Memory at some moments.
        starts: Seconds from starting gunicorn to the first answered search, one for each try.
        generator: Requests a second that the load generator gets from a server that does nothing,
            by clients.
        notes: What could not be measured, and why.
    """

    machine: dict[str, Any]
    turns: list[Turn] = field(default_factory=list)
    recalls: list[Recall] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    generator: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read what `write` wrote."""
        content = json.loads(path.read_text("utf-8"))
        return cls(
            machine=content["machine"],
            turns=[Turn(**turn) for turn in content["turns"]],
            recalls=[Recall(**recall) for recall in content["recalls"]],
            memories=[Memory(**memory) for memory in content["memories"]],
            starts=content["starts"],
            generator=content["generator"],
            notes=content["notes"],
        )

    @classmethod
    def joined(cls, runs: Sequence["Results"]) -> "Results":
        """Return what several runs on one machine have found of different parts.

        Its `machine` is the first run's, with the end of the last.
        """
        machine = runs[0].machine | {"runs": len(runs)}
        for name in ("ended", "load_at_end"):
            if name in runs[-1].machine:
                machine[name] = runs[-1].machine[name]
        return cls(
            machine=machine,
            turns=[turn for run in runs for turn in run.turns],
            recalls=[recall for run in runs for recall in run.recalls],
            memories=[memory for run in runs for memory in run.memories],
            starts=[start for run in runs for start in run.starts],
            generator=runs[0].generator,
            notes=[note for run in runs for note in run.notes],
        )

    def of(
        self, operation: str, clients: int, contestant: str, population: str | None = None
    ) -> list[Turn]:
        """Return the turns of one contestant at one operation, by round.

        Without `population`, those of the population that was measured first.
        """
        wanted = population or self.population
        return [
            turn
            for turn in self.turns
            if (turn.operation, turn.clients, turn.contestant, turn.population)
            == (operation, clients, contestant, wanted)
        ]

    @property
    def population(self) -> str:
        """The population that most is measured with."""
        return str(self.machine["population"])


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several values, the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Summarise at least one value."""
        ordered = sorted(values)
        return cls(median(ordered), ordered[0], ordered[-1])


def ratio(ours: Sequence[Turn], theirs: Sequence[Turn]) -> Spread | None:
    """Return how many times faster we are, round by round; None if there is no common round."""
    other = {turn.round: turn for turn in theirs}
    pairs = [(turn, other[turn.round]) for turn in ours if turn.round in other]
    values = [mine.rate / its.rate for mine, its in pairs if its.rate and mine.rate]
    return Spread.of(values) if values else None
