"""The command `memapp-check`."""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from memapp.check.client import Plan
from memapp.check.deployment import Target
from memapp.check.run import NotTestable, check

# Not MEMAPP_…: memapp, started from the same shell, would take it for a setting it does not know.
KEY_VARIABLE = "CHECK_API_KEY"
PROGRESS_SECONDS = 5.0
"""How often a line is printed where the output is no terminal."""

_EPILOG = f"""\
Exit code 0: nothing was wrong. 1: something was, or fewer workers answered than expected.
2: the deployment cannot be tested. Ctrl-C ends the writing, and the rest is done as usual.
The test writes for users of its own and forgets them at the end. The key needs the scopes
memory:read and memory:write; {KEY_VARIABLE} holds it better than the command line, which other
users of the machine can see.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Test a deployment and print what was found."""
    given = _parser().parse_args(arguments)
    target = Target(
        urls=given.urls,
        key=given.key or os.environ.get(KEY_VARIABLE, ""),
        timeout=given.timeout,
        patience=given.patience,
        ca_bundle=given.ca_bundle,
    )
    run = f"memapp-check-{secrets.token_hex(6)}"
    plan = Plan(run, clients=given.clients, writes=given.writes, seconds=given.seconds)
    progress = _Progress()
    try:
        report = check(target, plan, progress.show)
    except NotTestable as error:
        print(f"memapp-check: cannot test this deployment: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        progress.end()
    shown = (
        json.dumps(report.as_dict(), indent=2)
        if given.json
        else report.as_text(workers=given.workers)
    )
    print(shown)  # noqa: T201
    return 0 if report.is_clean(workers=given.workers) else 1


class _Progress:
    """One line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown_at = 0.0

    def show(self, words: str) -> None:
        now = time.monotonic()
        if self._is_terminal:
            sys.stderr.write(f"\r\033[K{words}")
            sys.stderr.flush()
        elif now - self._shown_at >= PROGRESS_SECONDS:
            self._shown_at = now
            sys.stderr.write(f"{words}\n")

    def end(self) -> None:
        if self._is_terminal:
            sys.stderr.write("\r\033[K")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memapp-check",
        description="Prove that a running memapp loses nothing and shows nothing stale: several "
        "processes write, change and delete memories, and look at once for what was acknowledged "
        "to the others, each request over a fresh connection.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "urls", nargs="+", type=_url, metavar="URL", help="address of memapp; one for each host"
    )
    parser.add_argument("--key", default="", help=f"API key; better set {KEY_VARIABLE}")
    parser.add_argument(
        "--clients", type=_at_least(2), default=4, metavar="N", help="client processes (4)"
    )
    parser.add_argument(
        "--writes", type=_at_least(1), default=60, metavar="N", help="memories for each (60)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        metavar="S",
        help="stop writing after this time, even if fewer are written (0: never)",
    )
    parser.add_argument(
        "--workers",
        type=_at_least(0),
        default=0,
        metavar="N",
        help="fail unless so many workers answered (0: any number)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="S",
        help="go on trying this long after a 503 or a broken connection (0: it is a failure)",
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="longest wait for an answer (30)"
    )
    parser.add_argument(
        "--ca-bundle", default="", metavar="FILE", help="certificates to trust for https"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{text!r} is not an address like http://127.0.0.1:8080"
        raise argparse.ArgumentTypeError(message)
    return text.rstrip("/")


def _at_least(low: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if text.isdecimal() else -1
        if number < low:
            message = f"{text!r} is not a whole number of at least {low}"
            raise argparse.ArgumentTypeError(message)
        return number

    return parse


if __name__ == "__main__":
    sys.exit(main())
