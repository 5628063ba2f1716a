"""Do something in a process that is then thrown away, to learn whether it can be done.

Plug-ins may raise anything when they are imported or started, or end their process; here that is
told as a fault of the configuration. Knows nothing of what is rehearsed.
"""

import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import NoReturn

from memapp.errors import ConfigurationError

_SILENT = (
    "making the app ends its process without a word; take out the plug-in that does so, or mend it"
)


def refuse_what_fails(rehearsed: Callable[[], object], *, seconds: float | None = None) -> None:
    """Call a function in a fork of this process, which keeps nothing of what that imports or opens.

    Args:
        rehearsed: What makes the app.
        seconds: How long it may take; None waits for ever.

    Raises:
        ConfigurationError: it did, or raised anything else, or ended the process, or took too long.
    """
    hearing, telling = Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        _tell(telling, rehearsed)
    telling.close()
    try:
        faults = hearing.recv() if hearing.poll(seconds) else (_too_slow(seconds),)
    except EOFError:
        faults = (_SILENT,)
    finally:
        hearing.close()
        with suppress(ProcessLookupError, ChildProcessError):  # Gone, where SIGCHLD is ignored.
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if faults:
        raise ConfigurationError(*faults)


def _tell(telling: Connection, rehearsed: Callable[[], object]) -> NoReturn:
    try:
        telling.send(_faults_of(rehearsed))
    finally:
        os._exit(0)


def _faults_of(rehearsed: Callable[[], object]) -> tuple[str, ...]:
    try:
        rehearsed()
    except ConfigurationError as error:
        return error.faults
    except BaseException as error:  # noqa: BLE001 - whatever a plug-in raises, SystemExit too
        return (_in_one_line(error),)
    return ()


def _in_one_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        message, file, line = error.msg, error.filename, error.lineno
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        message, file, line = str(error), last.filename, last.lineno
    told = " ".join(f"{type(error).__name__}: {message}".split())
    return f"making the app fails in {file}, line {line}, with {told}; mend it, or take it out"


def _too_slow(seconds: float | None) -> str:
    return f"making the app takes longer than {seconds:g} s; is there a plug-in that waits?"
