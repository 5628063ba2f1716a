"""Who takes part, and in what."""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.service.calls import Kind
from benchmarks.service.contestants.chroma_rest import ChromaRest
from benchmarks.service.contestants.contestant import Contestant
from benchmarks.service.contestants.library_processes import LibraryProcesses
from benchmarks.service.contestants.memapp_service import MemappService
from benchmarks.service.corpus import Corpus
from benchmarks.service.operations import Operation
from benchmarks.service.peer_environment import peer_environment

DESCRIPTIONS = {
    "memapp": "memapp, `gunicorn -w 4`, Chroma server",
    "memapp-one-host": "the same with `ONE_HOST`: writes are counted in shared memory",
    "memapp-pool": "the same without its user cache (`USER_CACHE_BYTES = 0`)",
    "memapp-1x32": "the same with one worker of 32 threads",
    "memapp-embedded": "memapp, one worker of 8 threads, embedded Chroma",
    "client": "`chromadb.HttpClient` in four processes, a collection per user",
    "where": "`chromadb.HttpClient` in four processes, one collection, `where` on the user",
    "rest": "requests straight to Chroma's HTTP API, a collection per user",
    "mem0": "mem0 2.2 in four processes over Chroma, no language model",
    "script": "a script: `collection.add(documents=...)` with Chroma's default embedding function",
}
"""Every contestant by name."""

GROWING = ("memapp", "client", "where")
"""Who is measured at several populations."""

_MEMORY_CALLS: frozenset[Kind] = frozenset(
    {"add", "batch", "search", "get", "page", "update", "delete"}
)

_ONLY: Mapping[str, Collection[str]] = {
    "memapp-one-host": ("search", "search-hybrid", "search-distinct", "mix-10"),
    "memapp-pool": ("search", "search-hybrid", "search-distinct", "mix-10"),
    "memapp-1x32": ("search", "add", "batch", "mix-20"),
}
"""Variants that are of interest at some operations only."""

_EMBEDDERS = (
    "memapp",
    "memapp-one-host",
    "memapp-pool",
    "memapp-1x32",
    "memapp-embedded",
    "mem0",
)
"""Who can search for a question without a given vector."""


def takes_part(name: str, operation: Operation) -> bool:
    """Tell whether a contestant is of interest at an operation."""
    if operation.is_distinct and name not in _EMBEDDERS:
        return False
    if operation.mode == "hybrid" and name == "mem0":
        return False
    return name not in _ONLY or operation.name in _ONLY[name]


def line_up(
    names: Collection[str], corpus: Corpus, folder: Path, *, processes: int
) -> list[Contestant]:
    """Return contestants that hold `corpus`, in the order in which they must be started.

    Args:
        names: Some of `DESCRIPTIONS`; `rest` brings `client` along, whose store it shares.
        corpus: What each will hold.
        folder: Where each gets a folder of its own.
        processes: Workers or processes of each, unless its name says otherwise.
    """
    makers = _makers(_Place(corpus, folder, processes))
    made: dict[str, Contestant] = {}
    for name, make in makers.items():
        if name in names or (name == "client" and "rest" in names):
            made[name] = make(name)
    if "rest" in names:
        host = made["client"]
        assert isinstance(host, LibraryProcesses)  # noqa: S101 - made two lines above
        made["rest"] = ChromaRest("rest", host)
    return list(made.values())


@dataclass(frozen=True)
class _Place:
    corpus: Corpus
    folder: Path
    processes: int


def _makers(place: _Place) -> dict[str, Callable[[str], Contestant]]:
    without_cache = {"MEMAPP_USER_CACHE_BYTES": "0"}
    layouts: frozenset[Kind] = _MEMORY_CALLS | {"retrieve"}
    return {
        "memapp": partial(_memapp, place),
        "memapp-one-host": partial(_memapp, place, settings={"MEMAPP_ONE_HOST": "true"}),
        "memapp-pool": partial(_memapp, place, settings=without_cache),
        "memapp-1x32": partial(_memapp, place, workers=1, threads=32),
        "memapp-embedded": partial(_memapp, place, workers=1, mode="persistent"),
        "client": partial(_client, place, library="per-user", kinds=layouts),
        "where": partial(_client, place, library="where", kinds=_MEMORY_CALLS),
        "mem0": partial(_mem0, place),
        "script": partial(_script, place),
    }


def _memapp(place: _Place, name: str, **options: object) -> Contestant:
    options = {"workers": place.processes, **options}
    folder = place.folder / name
    return MemappService(name, place.corpus, folder, **options)  # type: ignore[arg-type]


def _client(place: _Place, name: str, *, library: str, kinds: frozenset[Kind]) -> Contestant:
    return LibraryProcesses(
        name,
        place.corpus,
        place.folder / name,
        library=library,
        kinds=kinds,
        python=Path(sys.executable),
        processes=place.processes,
    )


def _mem0(place: _Place, name: str) -> Contestant:
    peer = peer_environment(place.corpus.cache)
    return LibraryProcesses(
        name,
        place.corpus,
        place.folder / name,
        library="mem0",
        kinds=_MEMORY_CALLS,
        python=peer.python,
        processes=place.processes,
        settings={"model": str(peer.model)},
        environment={"MEM0_TELEMETRY": "False"},
    )


def _script(place: _Place, name: str) -> Contestant:
    peer = peer_environment(place.corpus.cache)
    return LibraryProcesses(
        name,
        place.corpus,
        place.folder / name,
        library="script",
        kinds=frozenset({"ingest"}),
        python=Path(sys.executable),
        processes=1,
        environment={"HOME": str(peer.home)},
    )
