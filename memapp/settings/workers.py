"""How many worker processes share this app's settings, as far as gunicorn says it beforehand."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath


def announced(environ: Mapping[str, str], arguments: Sequence[str]) -> tuple[int, str] | None:
    """Return gunicorn's number of workers and who said it, or None if nobody did.

    The command line wins over GUNICORN_CMD_ARGS, and that over WEB_CONCURRENCY, as in gunicorn.
    https://docs.gunicorn.org/en/stable/configure.html

    Args:
        environ: The environment.
        arguments: The process's own, program first; looked at only if it is gunicorn.
    """
    if is_gunicorn(arguments):
        workers = _option(arguments[1:])
        if workers is not None:
            return workers, "gunicorn's command line"
    workers = _option(_split(environ.get("GUNICORN_CMD_ARGS", "")))
    if workers is not None:
        return workers, "environment variable GUNICORN_CMD_ARGS"
    concurrency = environ.get("WEB_CONCURRENCY", "")
    if concurrency.isdecimal():
        return int(concurrency), "environment variable WEB_CONCURRENCY"
    return None


def is_gunicorn(arguments: Sequence[str]) -> bool:
    """Tell whether a process's arguments, program first, are gunicorn's."""
    return bool(arguments) and "gunicorn" in PurePath(arguments[0]).parts[-2:]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # An open quote; gunicorn itself will refuse it.
        return []


def _option(arguments: Sequence[str]) -> int | None:
    workers = None
    for position, argument in enumerate(arguments):
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        for text in (
            following if argument in {"-w", "--workers"} else "",
            argument.removeprefix("--workers=") if argument.startswith("--workers=") else "",
            argument[2:].removeprefix("=") if argument.startswith("-w") else "",
        ):
            if text.isdecimal():
                workers = int(text)
    return workers
