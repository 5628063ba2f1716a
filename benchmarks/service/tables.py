"""Results as Markdown tables, which also read well on a terminal."""

from collections.abc import Iterable, Sequence

from benchmarks.service.goals import Verdict, verdicts
from benchmarks.service.line_up import DESCRIPTIONS
from benchmarks.service.operations import OPERATIONS
from benchmarks.service.results import Results, Spread, Turn, ratio


def report(results: Results) -> str:
    """Return everything a run has found, as one Markdown text."""
    parts = [
        _circumstances(results),
        "### Goals\n\n" + goals_table(results),
        "### Contestants\n\n" + _contestants(results),
        "### Operations\n\n" + operations_tables(results),
        "### Growth\n\n" + growth_table(results),
        "### Recall, memory, start\n\n" + _other_tables(results),
    ]
    if results.notes:
        parts.append("### Not measured\n\n" + "\n".join(f"- {note}" for note in results.notes))
    return "\n\n".join(parts)


def goals_table(results: Results) -> str:
    """Return the goals and whether they are met."""
    rows = [
        (
            verdict.goal.what,
            verdict.goal.against,
            _spread(verdict.reached),
            f"{'>=' if verdict.goal.is_least else '<='} {verdict.goal.wanted:g}"
            f" {verdict.goal.unit}".rstrip(),
            _word(verdict),
        )
        for verdict in verdicts(results)
    ]
    return _table(("operation", "against", "reached (range)", "goal", "verdict"), rows)


def operations_tables(results: Results) -> str:
    """Return one table for each operation and number of clients."""
    tables = []
    for operation in OPERATIONS:
        for clients in sorted({turn.clients for turn in results.turns}):
            rows = _rows(results, operation.name, clients)
            if rows:
                head = f"**{operation.title}, {clients} client{'s' * (clients > 1)}**"
                tables.append(head + "\n\n" + _table(_COLUMNS, rows))
    return "\n\n".join(tables) or "Not measured."


def growth_table(results: Results) -> str:
    """Return how a search's cost grows with the population."""
    groups: dict[tuple[str, str, int], list[Turn]] = {}
    for turn in results.turns:
        if turn.operation == "growth":
            groups.setdefault((turn.contestant, turn.population, turn.clients), []).append(turn)
    rows = [
        (
            name,
            population,
            str(clients),
            _spread(Spread.of(turn.rate for turn in turns)),
            _spread(Spread.of(turn.p50 for turn in turns)),
        )
        for (name, population, clients), turns in sorted(groups.items())
    ]
    columns = ("contestant", "memories/users", "clients", "requests/s (range)", "p50 ms (range)")
    return _table(columns, rows) if rows else "Not measured."


_COLUMNS = (
    "contestant",
    "requests/s (range)",
    "p50 ms",
    "p95 ms",
    "memapp / this (range)",
    "CPU ms per request: service + store",
    "failed",
)


def _rows(results: Results, operation: str, clients: int) -> list[tuple[str, ...]]:
    ours = results.of(operation, clients, "memapp")
    rows: list[tuple[float, tuple[str, ...]]] = []
    for name in DESCRIPTIONS:
        turns = results.of(operation, clients, name)
        if not turns:
            continue
        rate = Spread.of(turn.rate for turn in turns)
        cells = (
            name,
            _spread(rate),
            _number(Spread.of(turn.p50 for turn in turns).median),
            _number(Spread.of(turn.p95 for turn in turns).median),
            _spread(ratio(ours, turns)),
            f"{_number(Spread.of(turn.service_cpu for turn in turns).median)} + "
            f"{_number(Spread.of(turn.store_cpu for turn in turns).median)}",
            str(sum(turn.failures for turn in turns)),
        )
        rows.append((-rate.median, cells))
    return [cells for _, cells in sorted(rows)]


def _circumstances(results: Results) -> str:
    machine = results.machine
    shares = [turn.generator_share for turn in results.turns]
    generator = ", ".join(
        f"{_number(rate)}/s with {clients}" for clients, rate in results.generator.items()
    )
    return (
        f"Size `{machine['size']}`: {machine['population']} memories/users, "
        f"{machine['rounds']} rounds of {machine['seconds']:g} s, contestants shuffled in each. "
        f"{machine['processors']}, Python {machine['python']}, chromadb {machine['chromadb']}, "
        f"gunicorn {machine['gunicorn']}; memapp {machine['revision']}, {machine['began']}. "
        f"Load before and after (1, 5, 15 minutes): {machine['load_at_begin']}; "
        f"{machine.get('load_at_end', 'unknown')}. "
        f"The load generator gets from a server that does nothing: {generator or 'not measured'}; "
        f"it used at most {max(shares, default=0):.0%} of a core."
    )


def _contestants(results: Results) -> str:
    names = {turn.contestant for turn in results.turns}
    rows = [(name, what) for name, what in DESCRIPTIONS.items() if name in names]
    return _table(("contestant", "what it is"), rows) if rows else "None."


def _other_tables(results: Results) -> str:
    recalls = [
        (one.contestant, one.population, str(one.searches), f"{one.recall:.4f}")
        for one in results.recalls
    ]
    memories = [
        (one.contestant, one.moment, f"{one.service:.0f}", f"{one.store:.0f}")
        for one in results.memories
    ]
    parts = []
    if recalls:
        parts.append(_table(("contestant", "memories/users", "searches", "recall@10"), recalls))
    if memories:
        columns = ("contestant", "moment", "PSS of the service, MB", "PSS of the store, MB")
        parts.append(_table(columns, memories))
    if results.starts:
        parts.append(
            "Seconds from starting gunicorn to the first answered search: "
            + _spread(Spread.of(results.starts))
        )
    return "\n\n".join(parts) or "Not measured."


def _word(verdict: Verdict) -> str:
    if verdict.is_met is None:
        return "not measured"
    return "met" if verdict.is_met else "MISSED"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    if spread.least == spread.greatest:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.least)}-{_number(spread.greatest)})"


def _number(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    written = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([written[0], rule, *written[1:]])
