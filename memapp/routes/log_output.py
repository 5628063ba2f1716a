"""Where memapp's log goes: to stderr with the request's id, unless somebody has set up logging."""

import logging
import os
import time
from typing import TextIO

from flask.logging import has_level_handler

from memapp.routes.request_ids import RequestIdFilter

_FORMAT = "[%(asctime)s] [%(process)d] [%(levelname)s] [%(request_id)s] %(name)s: %(message)s"


def start(level: str) -> None:
    """Log what is at least as severe as `level`; one set-up for all apps of a process."""
    logger = logging.getLogger("memapp")
    logger.setLevel(level)
    if not has_level_handler(logger):
        handler = _LineHandler()
        handler.setFormatter(_Formatter(_FORMAT))
        handler.addFilter(RequestIdFilter())
        logger.addHandler(handler)


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes each line by one system call, which needs no lock.

    The lock that handlers share took a tenth of a search's time in the interpreter: a thread that
    writes lets the others go on, and they then wait for the lock.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, unless a filter drops it."""
        try:
            file = self.stream.fileno()
        except (AttributeError, OSError, ValueError):
            return bool(super().handle(record))  # Not a file of the system, or closed.
        if not self.filter(record):
            return False
        line = f"{self.format(record)}{self.terminator}".encode(errors="backslashreplace")
        try:
            os.write(file, line)
        except OSError:
            self.handleError(record)
        return True


class _Formatter(logging.Formatter):
    """Writes the date once a second: it takes most of the time that a line of the log takes."""

    # One value, for threads that read it meanwhile; `quick_answers` keeps its date so, too.
    _kept: tuple[int, str] = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        second = int(record.created)
        kept = self._kept
        if kept[0] != second:
            written = time.strftime(self.default_time_format, self.converter(second))
            kept = self._kept = (second, written)
        return f"{kept[1]},{int(record.msecs):03d}"
