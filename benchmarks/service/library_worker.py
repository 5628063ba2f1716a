"""A process that uses a client library as an application would; `LibraryProcesses` starts it.

Orders come as lines of JSON on standard input, answers go as lines of JSON to standard output;
whatever the library prints goes to standard error.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks.service.calls import Call, load_calls
from benchmarks.service.closed_loop import ClientLog
from benchmarks.service.contestants.library import Library


def main() -> None:
    """Obey until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    settings = json.loads(sys.argv[1])
    library = _open(settings)
    _answer(answers, "ready")
    for line in sys.stdin:
        order = json.loads(line)
        try:
            result = _obey(library, order, answers)
        except Exception as error:  # noqa: BLE001 - any failure is the contestant's answer
            _answer(answers, {"error": f"{type(error).__name__}: {error}"})
        else:
            _answer(answers, result)


def _open(settings: Mapping[str, Any]) -> Library:
    """Make the library that the settings name; each lives in another environment."""
    port, vectors = settings["port"], np.load(settings["vectors"], mmap_mode="r")
    match settings["library"]:
        case "mem0":
            from benchmarks.service.contestants.mem0_library import Mem0  # noqa: PLC0415

            return Mem0(port, vectors, Path(settings["model"]))
        case "script":
            from benchmarks.service.contestants.chroma_script import ChromaScript  # noqa: PLC0415

            return ChromaScript(port, vectors, settings["prefix"])
    from benchmarks.service.contestants import chroma_layouts  # noqa: PLC0415

    layouts = {
        "per-user": chroma_layouts.CollectionPerUser,
        "where": chroma_layouts.OneCollection,
    }
    return layouts[settings["library"]](port, vectors, settings["prefix"])


def _obey(library: Library, order: Mapping[str, Any], answers: TextIO) -> Any:
    match order["do"]:
        case "load":
            library.load(order["users"], order["numbers"])
            return None
        case "fill":
            library.fill_library(order["texts"], order["first_row"])
            return None
        case "answer":
            return library.do(load_calls(order["calls"])[0][0])
    calls = load_calls(order["calls"])
    _answer(answers, "ready")
    sys.stdin.readline()
    return [asdict(log) for log in _run(library, calls, order["seconds"])]


def _run(library: Library, calls: Sequence[Sequence[Call]], seconds: float) -> list[ClientLog]:
    """Let one thread work for each client; no further call begins after `seconds`."""
    logs = [ClientLog() for _ in calls]
    until = time.perf_counter() + seconds
    clients = [
        threading.Thread(target=_work, args=(library, own, until, log))
        for own, log in zip(calls, logs, strict=True)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return logs


def _work(library: Library, calls: Sequence[Call], until: float, log: ClientLog) -> None:
    began = time.perf_counter()
    for call in calls:
        before = time.perf_counter()
        # The first one is made however late it comes to it, as by those who are asked over HTTP.
        if log.latencies and before >= until:
            break
        try:
            library.do(call)
        except Exception as error:  # noqa: BLE001 - any failure is the contestant's
            log.failures += 1
            log.first_failure = log.first_failure or f"{type(error).__name__}: {error}"
        now = time.perf_counter()
        log.latencies.append(now - before)
        log.seconds = now - began


def _answer(answers: TextIO, result: Any) -> None:
    answers.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
