"""Read a file in a process of its own, with bounded time and memory.

For formats whose libraries a hostile file can keep busy for hours, make fill the memory, or bring
down: the process that serves requests only waits, and is told at last that the file is damaged.
"""

import json
import logging
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from threading import BoundedSemaphore
from typing import Any

from memapp.errors import InvalidInput
from memapp.readers.decoding import unreadable
from memapp.readers.limits import joined
from memapp.records import PageMark, ReadDocument

SECONDS = 120
"""How long reading one file may take."""

MEMORY = 2 << 30
"""Bytes of address space for reading one file."""

_PASSED_ON = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_\w+|TZ|LD_LIBRARY_PATH|PYTHON\w+|ORT_\w+")
"""What the reading process gets of the environment; keys and tokens may be in the rest."""

_AT_ONCE = BoundedSemaphore(2)
"""How many files one worker reads at a time; others wait."""

_log = logging.getLogger(__name__)


def read_apart(extract: str, content: bytes, *, seconds: float = SECONDS) -> ReadDocument:
    """Call a function on a file in another process, and return what it returns.

    Args:
        extract: The function, as 'package.module:attribute'; it takes the content and returns a
            `ReadDocument`, or raises `InvalidInput`.
        content: The whole file.
        seconds: How long it may take.

    Raises:
        InvalidInput: the function did; or it took too long, or too much memory, or failed.
    """
    command = [sys.executable, "-m", "memapp.readers.apart", extract, str(int(seconds) + 1)]
    # The child must find what this process finds, and needs no more threads than one.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    passed_on = {name: os.environ[name] for name in os.environ if _PASSED_ON.fullmatch(name)}
    environment = {**passed_on, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    with _AT_ONCE:
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                command,
                input=content,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            detail = f"takes longer than {seconds:g} seconds to read; split it"
            raise unreadable(detail) from error
    answer = json.loads(done.stdout) if done.returncode == 0 else {}
    if not answer or "failure" in answer:
        failure = answer.get("failure", f"exit status {done.returncode}")
        _log.warning("%s failed on a file: %s", extract, failure)
        detail = "is damaged, or takes too much memory to read; save it anew, or split it"
        raise unreadable(detail)
    return _decoded(answer)


def _decoded(answer: Any) -> ReadDocument:
    if "error" in answer:
        raise unreadable(answer["error"])
    pages = tuple(PageMark(**mark) for mark in answer.pop("pages"))
    return ReadDocument(**answer, pages=pages)


def _main(extract: str, seconds: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    # What a library prints must not get into the answer.
    answer = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    module, _, attribute = extract.partition(":")
    content = sys.stdin.buffer.read()
    try:
        function: Callable[[bytes], ReadDocument] = getattr(import_module(module), attribute)
        read = function(content)
        told = asdict(read) | {"text": joined([read.text])}
    except InvalidInput as error:
        told = {"error": error.errors[0].detail}
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        # Without its message, which may quote the file: this gets into the log.
        told = {"failure": type(error).__name__}
    json.dump(told, answer)
    answer.close()


if __name__ == "__main__":
    _main(*sys.argv[1:])
