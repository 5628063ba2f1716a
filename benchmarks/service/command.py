"""The command line: measure, or show what an earlier run has found."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.service.charts import draw
from benchmarks.service.document import write_into
from benchmarks.service.line_up import DESCRIPTIONS
from benchmarks.service.results import Results
from benchmarks.service.run import PARTS, Run
from benchmarks.service.sizes import SIZES
from benchmarks.service.tables import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    options = _options(arguments)
    if options.show is None:
        results = _measure(options)
    else:
        results = Results.joined([Results.read(path) for path in options.show])
    print(report(results))
    if options.charts is not None:
        for path in draw(results, options.charts):
            print(f"\nwrote {path}")
    if options.document is not None:
        write_into(options.document, results)
    return 0


def _measure(options: argparse.Namespace) -> Results:
    size = SIZES[options.size]
    size = replace(
        size,
        rounds=options.rounds or size.rounds,
        seconds=options.seconds or size.seconds,
        clients=options.clients or size.clients,
        documents=options.documents or size.documents,
    )
    began = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {message}", file=sys.stderr, flush=True)

    run = Run(
        size,
        parts=options.only,
        contestants=options.contestants,
        cache=options.cache,
        seed=options.seed,
        say=say,
    )
    # Told to end, it stops what it has started and keeps what it has found.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    try:
        return run.go()
    finally:
        if options.json is not None:
            run.results.write(options.json)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service",
        description="Measure memapp, raw Chroma and mem0 side by side on this machine.",
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="how much (small)")
    parser.add_argument("--rounds", type=int, help="turns of each contestant that count")
    parser.add_argument("--seconds", type=float, help="length of a turn")
    parser.add_argument(
        "--clients", type=_numbers, metavar="1,8,32", help="numbers of clients at the same time"
    )
    parser.add_argument("--documents", type=int, help="how many the library holds")
    parser.add_argument(
        "--only",
        type=_some_of(PARTS),
        default=list(PARTS),
        metavar="PART,...",
        help=f"parts to measure, of: {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--contestants",
        type=_some_of(tuple(DESCRIPTIONS)),
        default=list(DESCRIPTIONS),
        metavar="NAME,...",
        help=f"who takes part, of: {', '.join(DESCRIPTIONS)}",
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything drawn by lot (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="write charts there")
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="put tables and charts between the marks in this Markdown file, charts beside it",
    )
    parser.add_argument(
        "--show",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing; show what --json wrote, of several runs as if they were one",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "memapp-benchmarks",
        metavar="FOLDER",
        help="keeps the peer's environment, networks and vectors; the stores lie there meanwhile",
    )
    return parser.parse_args(arguments)


def _some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what reads names parted by commas, each of which must be known."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            message = f"unknown: {', '.join(unknown)}; known are {', '.join(known)}"
            raise argparse.ArgumentTypeError(message)
        return names

    return read


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))
