"""The command line: measure the data sets of a folder."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

from benchmarks.retrieval.data_sets import DataSet, MarkedTexts, NoDataSet, read_data_sets
from benchmarks.retrieval.exhaustive import Exhaustive
from benchmarks.retrieval.literal_cases import literal_cases
from benchmarks.retrieval.measuring import measure
from benchmarks.retrieval.own_app import own_app
from benchmarks.retrieval.results import Ingested, Results, Row
from benchmarks.retrieval.service import Searched, Service
from benchmarks.retrieval.tables import chart, markdown

# Not MEMAPP_…: memapp, started from the same shell, would take it for a setting it does not know.
KEY_VARIABLE = "BENCHMARK_API_KEY"

_Item = TypeVar("_Item")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    options = _options(arguments)
    try:
        data_sets = [*read_data_sets(options.folder), literal_cases()]
    except NoDataSet as error:
        print(f"python -m benchmarks.retrieval: {error}", file=sys.stderr)
        return 2
    with Progress(console=Console(stderr=True), transient=True) as progress:
        results = _Run(data_sets, progress).go(options)
    print(markdown(results.rows, results.ingested))
    if options.json is not None:
        results.write(options.json)
    if options.chart is not None:
        options.chart.write_text(chart(results.rows), "utf-8")
    return 0


class _Run:
    """Goes through the data sets, showing progress where a person looks on."""

    def __init__(self, data_sets: Sequence[DataSet], progress: Progress) -> None:
        self._data_sets = data_sets
        self._progress = progress
        self._rows: list[Row] = []
        self._ingested: list[Ingested] = []

    def go(self, options: argparse.Namespace) -> Results:
        if options.url is not None:
            self._measure(Service(options.url, os.environ.get(KEY_VARIABLE)), self._data_sets)
        else:
            with own_app({}, workers=options.workers) as url:
                self._measure(Service(url), self._data_sets)
            for size in options.passages:
                self._measure_passages(size, options.workers)
        if options.exhaustive:
            self._measure(Exhaustive(), self._data_sets, suffix=" (exhaustive)")
        return Results(self._rows, self._ingested)

    def _measure_passages(self, size: str, workers: int) -> None:
        characters, overlap = size.split("/")
        texts = [data for data in self._data_sets if isinstance(data, MarkedTexts)]
        with ExitStack() as stack:
            settings = {"MEMAPP_CHUNK_CHARACTERS": characters, "MEMAPP_CHUNK_OVERLAP": overlap}
            if texts:
                url = stack.enter_context(own_app(settings, workers=workers))
                self._measure(Service(url), texts, suffix=f" ({size})")

    def _measure(
        self, service: Searched, data_sets: Sequence[DataSet], *, suffix: str = ""
    ) -> None:
        for data in data_sets:
            rows, ingested = measure(service, data, self._watch)
            self._rows += [replace(row, ranking=row.ranking + suffix) for row in rows]
            if not suffix:
                self._ingested.append(ingested)

    def _watch(self, items: Sequence[_Item], description: str) -> Iterator[_Item]:
        task = self._progress.add_task(description, total=len(items))
        for item in items:
            yield item
            self._progress.advance(task)
        self._progress.remove_task(task)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retrieval",
        description="Measure how well memapp ranks, through its HTTP API: the data sets of a "
        "folder, and one of our own about literal strings.",
        epilog=f"With --url, an API key is read from the environment variable {KEY_VARIABLE}.",
    )
    parser.add_argument("folder", type=Path, help="a data set, or a folder of data sets")
    parser.add_argument("--url", help="a running memapp; by default one is started")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="of the memapp that is started; several share a Chroma server (default: 1)",
    )
    parser.add_argument(
        "--passages",
        action="append",
        default=[],
        metavar="SIZE/OVERLAP",
        help="measure marked texts with passages of this size too, for instance 400/0",
    )
    parser.add_argument(
        "--exhaustive",
        action="store_true",
        help="compare with the same services over an exhaustive search of the same vectors",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--chart", type=Path, help="write a chart (SVG) to this file")
    return parser.parse_args(arguments)
