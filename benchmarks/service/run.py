"""One run from beginning to end: start everybody, let them take turns, stop everybody."""

import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.service import closed_loop, texts
from benchmarks.service.calls import Call
from benchmarks.service.contestants.contestant import Contestant
from benchmarks.service.contestants.memapp_service import MemappService
from benchmarks.service.corpus import Corpus
from benchmarks.service.http_requests import http_request
from benchmarks.service.line_up import GROWING, line_up, takes_part
from benchmarks.service.operations import OPERATIONS, Operation
from benchmarks.service.processes import pss_megabytes
from benchmarks.service.results import Memory, Recall, Results
from benchmarks.service.rounds import Rounds
from benchmarks.service.servers import HOST, REPOSITORY, Server, free_port
from benchmarks.service.sizes import Size

GROWTH = Operation("growth", "search at several populations", {"search": 100}, (1, 8))
"""The search of `OPERATIONS`, of contestants that hold different populations."""

_CLIENTS_A_WORKER = 8
"""Enough for most workers to get some, however the kernel deals connections out."""

_QUESTIONS_A_CLIENT = 200
"""At least so many: a worker reads one user at a time, and answers for others from Chroma then."""

_CLIENTS_ALONE = (1, 1, 1)
"""A client alone mostly meets the same worker, which may have got too few of the others."""

PARTS = (*(operation.name for operation in OPERATIONS), "recall", "starts", "flat", "growth")
"""What can be chosen to be measured."""


class Run:
    """Measures what was chosen; everything it starts is stopped at its end."""

    def __init__(
        self,
        size: Size,
        *,
        parts: Collection[str],
        contestants: Collection[str],
        cache: Path,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        """Prepare a run.

        Args:
            size: How much is measured.
            parts: Some of `PARTS`.
            contestants: Names of those who take part.
            cache: Folder for what is kept from run to run; stores lie beside it meanwhile, so it
                should be on the disk that matters.
            seed: Of everything drawn by lot.
            say: Told what happens.
        """
        self._size = size
        self._parts = parts
        self._contestants = contestants
        self._cache = cache
        self._seed = seed
        self._say = say
        self.results = Results(machine=_machine(size, seed))
        self._rounds = Rounds(
            self.results, rounds=size.rounds, seconds=size.seconds, seed=seed, say=say
        )

    def go(self) -> Results:
        """Measure everything and return what was found."""
        self._cache.mkdir(parents=True, exist_ok=True)
        self._measure_generator()
        if set(self._parts) - {"growth"}:
            self._measure_population()
        if "growth" in self._parts:
            self._measure_growth()
        self.results.machine["ended"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.results.machine["load_at_end"] = _load()
        return self.results

    def _measure_generator(self) -> None:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.service.null_server", str(port)]
        request = http_request("POST", "/v1/memories/search", b'{"query": "' + b"x" * 100 + b'"}')
        with tempfile.TemporaryDirectory(dir=self._cache) as folder:
            server = Server(command, port=port, folder=Path(folder), ready_path="/")
            try:
                for clients in self._size.clients:
                    most = [[request] * int(40_000 * self._size.seconds / clients)] * clients
                    logs = closed_loop.drive((HOST, port), most, self._size.seconds)
                    rate = sum(len(log.latencies) / log.seconds for log in logs)
                    self.results.generator[str(clients)] = rate
            finally:
                server.stop()

    def _measure_population(self) -> None:
        size = self._size
        has_documents = bool({"retrieve", "retrieve-hybrid"} & set(self._parts))
        corpus = size.corpus(size.population, self._cache, documents=has_documents)
        with self._started([corpus], self._contestants) as contestants:
            self._remember(contestants, f"{corpus.label} memories stored")
            if "recall" in self._parts:
                self._measure_recall(contestants)
            self._measure_operations(contestants, about_documents=False)
            if has_documents:
                self._fill_libraries(contestants)
            self._measure_operations(contestants, about_documents=True)
            self._remember(contestants, "at the end")
            for contestant in contestants:
                if isinstance(contestant, MemappService) and contestant.name == "memapp":
                    self._measure_memapp(contestant)

    def _measure_operations(
        self, contestants: Sequence[Contestant], *, about_documents: bool
    ) -> None:
        for operation in OPERATIONS:
            is_about_documents = bool({"retrieve", "ingest"} & operation.shares.keys())
            if operation.name not in self._parts or is_about_documents != about_documents:
                continue
            able = [one for one in contestants if takes_part(one.name, operation)]
            for clients in self._size.clients_for(operation.clients):
                self._rounds.measure(operation, clients, able)

    def _measure_growth(self) -> None:
        size = self._size
        corpora = [size.corpus(one, self._cache, documents=False) for one in size.growth]
        names = [name for name in GROWING if name in self._contestants]
        with self._started(corpora, names) as contestants:
            if "recall" in self._parts:
                main = self.results.population
                self._measure_recall([one for one in contestants if one.corpus.label != main])
            for contestant in contestants:
                if isinstance(contestant, MemappService):
                    self._ask_for_everybody(contestant)
            for clients in self._size.clients_for(GROWTH.clients):
                self._rounds.measure(GROWTH, clients, contestants)

    def _ask_for_everybody(self, memapp: MemappService) -> None:
        """Let each worker be asked for each user some times, for it keeps whom it is asked for."""
        corpus, order = memapp.corpus, random.Random(self._seed)  # noqa: S311 - no secret
        began = time.perf_counter()
        for clients in (_CLIENTS_A_WORKER * self._size.processes, *_CLIENTS_ALONE):
            calls = []
            for _ in range(clients):
                users = list(range(corpus.users)) * max(1, _QUESTIONS_A_CLIENT // corpus.users)
                order.shuffle(users)
                calls.append([_question(corpus, user, user % corpus.questions) for user in users])
            memapp.drive(calls, 3600)
        took = time.perf_counter() - began
        self._say(f"{memapp.name} at {corpus.label}: everybody was asked for in {took:.1f} s")

    def _fill_libraries(self, contestants: Sequence[Contestant]) -> None:
        about = [one for one in OPERATIONS if "retrieve" in one.shares]
        able = [
            one
            for one in contestants
            if "retrieve" in one.kinds and any(takes_part(one.name, each) for each in about)
        ]
        for contestant in able:
            began = time.perf_counter()
            contestant.fill_library()
            took = time.perf_counter() - began
            chunks = len(contestant.corpus.chunks)
            self._say(f"{contestant.name} stored {chunks} chunks in {took:.1f} s")
        self._remember(able, "documents ingested")

    def _remember(self, contestants: Sequence[Contestant], moment: str) -> None:
        for contestant in contestants:
            service = pss_megabytes(contestant.service_processes())
            store = pss_megabytes(contestant.store_processes())
            self.results.memories.append(Memory(contestant.name, moment, service, store))

    def _measure_recall(self, contestants: Sequence[Contestant]) -> None:
        for contestant in contestants:
            if contestant.name == "rest" or "search" not in contestant.kinds:
                continue
            recall = _recall(contestant, self._size, self._seed)
            self.results.recalls.append(recall)
            self._say(f"recall of {contestant.name} at {recall.population}: {recall.recall:.4f}")

    def _measure_memapp(self, memapp: MemappService) -> None:
        if "starts" in self._parts:
            for _ in range(self._size.starts):
                self.results.starts.append(memapp.restart())
        if "flat" in self._parts:
            self._measure_flatness(memapp)

    def _measure_flatness(self, memapp: MemappService) -> None:
        """Send many requests, and look at the memory in between."""
        # A worker that started last would else be met by later requests only, and look like growth.
        memapp.warm_up()
        corpus, steps, clients = memapp.corpus, 5, 8
        each = self._size.flat_requests // steps // clients
        question = 0
        for step in range(steps + 1):
            calls = []
            for _ in range(clients):
                own = []
                for _ in range(each):
                    question += 1
                    user = corpus.user(question)
                    text = texts.question(2_000_000 + question % (self._size.flat_requests // 2))
                    own.append(Call("search", user=user, texts=[text], mode="hybrid"))
                calls.append(own)
            memapp.drive(calls, 3600)
            self._remember([memapp], f"after {(step + 1) * each * clients} searches")

    @contextmanager
    def _started(
        self, corpora: Sequence[Corpus], names: Collection[str]
    ) -> Iterator[list[Contestant]]:
        """Start contestants for each corpus, and stop them at the end."""
        with ExitStack() as stack:
            folder = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(dir=self._cache, ignore_cleanup_errors=True)
                )
            )
            started = []
            for index, corpus in enumerate(corpora):
                for contestant in line_up(
                    names, corpus, folder / str(index), processes=self._size.processes
                ):
                    began = time.perf_counter()
                    stack.callback(contestant.stop)
                    contestant.start()
                    took = time.perf_counter() - began
                    self._say(f"{contestant.name} at {corpus.label} ready after {took:.1f} s")
                    started.append(contestant)
            yield started


def _recall(contestant: Contestant, size: Size, seed: int) -> Recall:
    corpus = contestant.corpus
    choice = random.Random(seed)  # noqa: S311 - no secret
    parts = []
    for _ in range(size.recall_searches):
        question, user = choice.randrange(corpus.questions), choice.randrange(corpus.users)
        call = _question(corpus, user, question)
        nearest = corpus.nearest(user, question, call.limit)
        parts.append(len(nearest.intersection(contestant.answer(call))) / len(nearest))
    return Recall(corpus.label, contestant.name, len(parts), sum(parts) / len(parts))


def _question(corpus: Corpus, user: int, question: int) -> Call:
    return Call(
        "search",
        user=corpus.user(user),
        texts=[texts.question(question)],
        rows=[corpus.question_row(question)],
    )


def _machine(size: Size, seed: int) -> dict[str, object]:
    cpus = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    label = size.corpus(size.population, Path(), documents=False).label
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "size": size.name,
        "population": label,
        "rounds": size.rounds,
        "seconds": size.seconds,
        "seed": seed,
        "processors": f"{len(cpus)} x {cpus[0]}" if cpus else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "chromadb": version("chromadb"),
        "gunicorn": version("gunicorn"),
        "revision": revision.stdout.strip(),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_at_begin": _load(),
    }


def _load() -> str:
    return " ".join(Path("/proc/loadavg").read_text("utf-8").split()[:3])
