"""A client library used directly by four processes, each with several threads."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.service.calls import Call, Kind, dump_calls
from benchmarks.service.closed_loop import ClientLog
from benchmarks.service.corpus import Corpus, chunks
from benchmarks.service.servers import REPOSITORY, Server, plain_environment, start_chroma


class LibraryProcesses:
    """Processes that call a library in a closed loop, over a Chroma server of their own."""

    def __init__(
        self,
        name: str,
        corpus: Corpus,
        folder: Path,
        *,
        library: str,
        kinds: frozenset[Kind],
        python: Path,
        processes: int = 4,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare the processes; nothing runs yet.

        Args:
            name: What they are called in tables.
            corpus: What they will hold.
            folder: New folder for data and logs.
            library: One that `library_worker` knows.
            kinds: The calls it knows.
            python: Interpreter of the environment that has the library.
            processes: How many.
            settings: Further settings of the library.
            environment: Further variables of the processes.
        """
        self.name = name
        self.corpus = corpus
        self._folder = folder
        self._kinds = kinds
        self._settings = {"library": library, "prefix": "a", **(settings or {})}
        self._python = python
        self._count = processes
        self._environment = dict(environment or {})
        self._workers: list[_Worker] = []
        self.chroma: Server | None = None

    @property
    def kinds(self) -> frozenset[Kind]:
        """The calls it knows."""
        return self._kinds

    def start(self) -> None:
        """Start Chroma and the processes, and store the corpus's memories."""
        self._folder.mkdir(parents=True)
        self.chroma = start_chroma(self._folder / "chroma")
        vectors = self._folder / "vectors.npy"
        np.save(vectors, self.corpus.vectors)
        settings = {**self._settings, "port": self.chroma.port, "vectors": str(vectors)}
        for index in range(self._count):
            own = self._folder / f"worker-{index}"
            own.mkdir()
            variables = plain_environment(**{"MEM0_DIR": str(own), **self._environment})
            self._workers.append(_Worker(self._python, settings, own, variables))
        for worker in self._workers:
            worker.receive()
        self._load()

    def fill_library(self) -> None:
        """Store the chunks of the corpus's documents."""
        if "retrieve" in self._kinds:
            order = {"texts": self.corpus.chunks, "first_row": self.corpus.first_chunk_row}
            self._workers[0].ask({"do": "fill", **order})

    def drive(self, calls: Sequence[Sequence[Call]], seconds: float) -> list[ClientLog]:
        """Deal the clients out to the processes, and let all begin together."""
        cut = [[_cut(call) for call in client] for client in calls]
        hands = [cut[index :: self._count] for index in range(self._count)]
        busy = [(worker, hand) for worker, hand in zip(self._workers, hands, strict=True) if hand]
        for worker, hand in busy:
            worker.send({"do": "turn", "seconds": seconds, "calls": dump_calls(hand)})
        for worker, _ in busy:
            worker.receive()
        for worker, _ in busy:
            worker.send("go")
        return [ClientLog(**log) for worker, _ in busy for log in worker.receive()]

    def answer(self, call: Call) -> list[str]:
        """Return the texts found."""
        found: list[str] = self._workers[0].ask({"do": "answer", "calls": dump_calls([[call]])})
        return found

    def service_processes(self) -> list[int]:
        """Return the processes that use the library."""
        return [worker.pid for worker in self._workers]

    def store_processes(self) -> list[int]:
        """Return Chroma's server."""
        return [] if self.chroma is None else [self.chroma.pid]

    def stop(self) -> None:
        """Stop the processes, then Chroma."""
        for worker in self._workers:
            worker.stop()
        if self.chroma is not None:
            self.chroma.stop()

    def _load(self) -> None:
        """Let each process store the memories of some of the users."""
        corpus = self.corpus
        orders = []
        for index in range(self._count):
            users = range(index, min(corpus.users, corpus.memories), self._count)
            numbers = [list(range(user, corpus.memories, corpus.users)) for user in users]
            orders.append({"users": [corpus.user(user) for user in users], "numbers": numbers})
        for worker, order in zip(self._workers, orders, strict=True):
            worker.send({"do": "load", **order})
        for worker in self._workers:
            worker.receive()


def _cut(call: Call) -> Call:
    """Cut a document that is to be ingested, which is no library's business."""
    return replace(call, texts=chunks(call.texts[0])) if call.kind == "ingest" else call


class _Worker:
    """One process, spoken to in lines of JSON."""

    def __init__(
        self, python: Path, settings: Mapping[str, Any], folder: Path, variables: dict[str, str]
    ) -> None:
        self._log = folder / "output.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(python), "-m", "benchmarks.service.library_worker", json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=REPOSITORY,
                env=variables,
                text=True,
            )
        self.pid = self._process.pid

    def ask(self, order: Any) -> Any:
        self.send(order)
        return self.receive()

    def send(self, order: Any) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def receive(self) -> Any:
        """Return the next answer.

        Raises:
            RuntimeError: the library failed, or the process ended; with the reason.
        """
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            message = f"a worker ended: {self._log.read_text(errors='replace')[-2000:]}"
            raise RuntimeError(message)
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
