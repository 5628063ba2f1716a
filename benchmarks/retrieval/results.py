"""What was measured: rows of figures, as they are printed and written to JSON."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One way of searching one data set, or a part of its queries.

    Attributes:
        data_set: Its name.
        ranking: What was searched with, for instance `hybrid` or `words only`.
        part: Which of its queries; empty for the headline.
        queries: How many they are.
        figures: Means in percent, by name.
        milliseconds: Median and 95th percentile of a query's time.
    """

    data_set: str
    ranking: str
    part: str
    queries: int
    figures: Mapping[str, float]
    milliseconds: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ingested:
    """How long storing a data set took, through the API and one request at a time."""

    data_set: str
    items: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Results:
    """All rows of a run."""

    rows: Sequence[Row]
    ingested: Sequence[Ingested]

    def write(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")


def mean_percent(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure (shares, 0 to 1) in percent."""
    return {name: 100 * statistics.fmean(one[name] for one in figures) for name in figures[0]}


def median_and_95th(seconds: Sequence[float]) -> tuple[float, float]:
    """Return both in milliseconds."""
    ordered = sorted(seconds)
    return (
        1000 * statistics.median(ordered),
        1000 * ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))],
    )
