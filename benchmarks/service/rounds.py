"""Let contestants take turns: each round all of them, in an order drawn anew."""

import random
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.service.closed_loop import ClientLog
from benchmarks.service.contestants.contestant import Contestant
from benchmarks.service.operations import (
    Operation,
    Progress,
    advance,
    calls_for,
    deletable,
)
from benchmarks.service.processes import cpu_seconds
from benchmarks.service.results import Results, Turn

WARM_UP = -1
"""The round that is not counted."""


class Rounds:
    """Measures contestants side by side and writes down what it finds."""

    def __init__(
        self,
        results: Results,
        *,
        rounds: int,
        seconds: float,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        """Prepare to measure.

        Args:
            results: Where turns and notes go.
            rounds: Turns of each contestant that count.
            seconds: Length of a turn.
            seed: Of the order and of the calls.
            say: Told what happens.
        """
        self._results = results
        self._rounds = rounds
        self._seconds = seconds
        self._seed = seed
        self._order = random.Random(seed)  # noqa: S311 - no secret
        self._say = say
        self._progress: dict[int, Progress] = {}

    def measure(
        self, operation: Operation, clients: int, contestants: Sequence[Contestant]
    ) -> None:
        """Let all contestants do an operation; who fails at warming up is left out with a note."""
        able = [
            contestant
            for contestant in contestants
            if operation.shares.keys() <= contestant.kinds
            and self._warm_up(operation, clients, contestant)
        ]
        for number in range(self._rounds):
            self._order.shuffle(able)
            for contestant in able:
                turn = self._turn(operation, clients, contestant, number)
                if turn is not None:
                    self._results.turns.append(turn)
        self._say(f"{operation.name} c{clients}: {len(able)} contestants")

    def _warm_up(self, operation: Operation, clients: int, contestant: Contestant) -> bool:
        try:
            turn = self._turn(operation, clients, contestant, WARM_UP)
        except (RuntimeError, OSError, KeyError) as error:
            self._note(operation, contestant, f"{type(error).__name__}: {error}")
            return False
        if turn is None or turn.failures == turn.requests:
            reason = "nothing was answered" if turn is None else turn.first_failure
            self._note(operation, contestant, reason)
            return False
        return True

    def _note(self, operation: Operation, contestant: Contestant, reason: str) -> None:
        note = f"{contestant.name} at {operation.name}: {reason[-500:]}"
        self._results.notes.append(note)
        self._say(note)

    def _turn(
        self, operation: Operation, clients: int, contestant: Contestant, number: int
    ) -> Turn | None:
        """Take one turn; None if there is nothing to do."""
        progress = self._progress.setdefault(
            id(contestant), Progress(addition=contestant.corpus.memories)
        )
        amount = self._amount(operation, clients, contestant, progress)
        calls = calls_for(
            operation,
            contestant.corpus,
            progress,
            clients=clients,
            amount=amount,
            seed=f"{self._seed} {operation.name} {clients} {number}",
        )
        service, store = contestant.service_processes(), contestant.store_processes()
        used = [cpu_seconds(service), cpu_seconds(store), time.process_time()]
        began = time.perf_counter()
        logs = [log for log in contestant.drive(calls, self._seconds) if log.latencies]
        took = time.perf_counter() - began
        ended = [cpu_seconds(service), cpu_seconds(store), time.process_time()]
        if not logs:
            return None
        advance(progress, operation.shares, clients * max(len(log.latencies) for log in logs))
        turn = _summary(
            logs,
            (operation, clients, contestant, number),
            [after - before for before, after in zip(used, ended, strict=True)],
            took,
        )
        progress.rates[operation.name, clients] = turn.rate
        return turn

    def _amount(
        self, operation: Operation, clients: int, contestant: Contestant, progress: Progress
    ) -> int:
        """Return how many calls to write down for each client: more than it can do."""
        known = progress.rates.get((operation.name, clients))
        rate = operation.ceiling if known is None else min(3 * known, operation.ceiling)
        amount = int(rate * self._seconds / clients) + 5
        if operation.most is not None:
            left = deletable(contestant.corpus) - progress.deletion
            amount = min(operation.most, left // clients)
        return amount


def _summary(
    logs: Sequence[ClientLog],
    what: tuple[Operation, int, Contestant, int],
    cpu: Sequence[float],
    took: float,
) -> Turn:
    operation, clients, contestant, number = what
    latencies = np.array([one for log in logs for one in log.latencies])
    service, store, generator = cpu
    return Turn(
        population=contestant.corpus.label,
        operation=operation.name,
        clients=clients,
        contestant=contestant.name,
        round=number,
        requests=len(latencies),
        # Each client is always busy: its own rate, up to its own last answer, has no idle end.
        rate=sum(len(log.latencies) / log.seconds for log in logs),
        p50=float(np.median(latencies)) * 1000,
        p95=float(np.quantile(latencies, 0.95)) * 1000,
        failures=sum(log.failures for log in logs),
        first_failure=next((log.first_failure for log in logs if log.failures), ""),
        service_cpu=service * 1000 / len(latencies),
        store_cpu=store * 1000 / len(latencies),
        generator_share=generator / took,
    )
