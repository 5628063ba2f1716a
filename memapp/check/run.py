"""Run the clients against a deployment, gather what they saw, and leave nothing behind."""

import multiprocessing
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from types import FrameType
from typing import Any

from memapp.check import expectations
from memapp.check.client import (
    MEMORIES,
    Audit,
    Audited,
    Lines,
    Plan,
    Settled,
    Stop,
    Written,
    run_client,
)
from memapp.check.deployment import Deployment, Target
from memapp.check.expectations import Item
from memapp.check.findings import Finding, Tally, Wrong
from memapp.check.report import Report

LIST_PAGE = 200
_FORBIDDEN = 403

Progress = Callable[[str], None]
"""Told what is going on, in a few words."""


class NotTestable(Exception):
    """The deployment cannot be tested at all; says why and what to do."""


def check(target: Target, plan: Plan, progress: Progress) -> Report:
    """Test a deployment, and forget all users of the test at the end, also when it fails.

    Ctrl-C ends the writing; what was written is still looked for. Once more ends the test.

    Raises:
        NotTestable: the deployment does not answer as memapp does, or does not let us in.
    """
    tally = Tally()
    deployment = Deployment(target, tally)
    first = _of(plan.users[0])
    answer = deployment.ask("list", "GET", MEMORIES, params=first, expect=[200, _FORBIDDEN])
    if answer is None:
        raise NotTestable(tally.examples[0].detail)
    # What comes of it otherwise is no finding yet.
    probe, dry = Deployment(target, Tally()), {**first, "dry_run": "true"}
    may_write = probe.ask("forget", "DELETE", MEMORIES, params=dry, expect=[200, 204, _FORBIDDEN])
    if _FORBIDDEN in {answer.status, may_write.status if may_write else 0}:
        message = "the key needs the scopes memory:read and memory:write, and lacks one (403)"
        raise NotTestable(message)
    begin = time.monotonic()
    try:
        items, lost = _drive(plan, target, tally, progress)
        seconds = time.monotonic() - begin
        progress("looking at what is left at rest")
        for user in plan.users:
            own = [item for item in items if item.user_id == user]
            walked = list(_walk(deployment, user))
            lost += expectations.missing_at_rest(walked, own)
            for finding in expectations.too_much_at_rest(walked, own):
                tally.record(finding)
        for item in {item.id: item for item in lost}.values():
            detail = f"memory {item.number} ({item.id}) was acknowledged and is lost"
            tally.record(Finding(Wrong.LOST, detail))
    finally:
        progress("forgetting the users of this test")
        for user in plan.users:
            deployment.ask("forget", "DELETE", MEMORIES, params=_of(user), expect=[200, 204])
    for user in plan.users:
        for row in _walk(deployment, user):
            tally.record(Finding(Wrong.GHOST, f"{row['id']} is there after its user was forgotten"))
    return Report.of(target, tally, writes=len(items), seconds=seconds)


def _drive(
    plan: Plan, target: Target, tally: Tally, progress: Progress
) -> tuple[list[Item], list[Item]]:
    """Let the clients work; return every item, and those that they found lost at rest."""
    items: list[Item] = []
    lost: list[Item] = []
    with _clients(plan, target) as (processes, lines):
        messages = _messages(lines.outbox, processes)
        writing, written = plan.clients, 0
        while writing or len(items) < written:
            match next(messages):
                case Settled(item):
                    items.append(item)
                    progress(f"{len(items)} of {plan.clients * plan.writes} memories")
                case Written(number):
                    writing, written = writing - 1, written + number
        for index, inbox in enumerate(lines.inboxes):
            inbox.put(Audit(items[index :: plan.clients]))
        for done in range(plan.clients):
            progress(f"looking for all of them once more, {done} of {plan.clients} shares done")
            match next(messages):
                case Audited(missing):
                    lost += missing
        for inbox in lines.inboxes:
            inbox.put(Stop())
        for _ in processes:
            tally.add(next(messages))
    return items, lost


@contextmanager
def _clients(plan: Plan, target: Target) -> Iterator[tuple[list[BaseProcess], Lines]]:
    """Start the processes, and let none of them outlive the run."""
    # This process has one thread and no open connection, so that a fork is safe and saves each
    # client the imports; elsewhere than on Linux the system's own libraries forbid it.
    context: ForkContext | SpawnContext
    if sys.platform == "linux":
        context = multiprocessing.get_context("fork")
    else:
        context = multiprocessing.get_context("spawn")
    inboxes: list[Queue[Any]] = [context.Queue() for _ in range(plan.clients)]
    lines = Lines(inboxes, context.Queue(), context.Event())
    processes: list[BaseProcess] = [
        context.Process(target=run_client, args=(index, plan, target, lines))
        for index in range(plan.clients)
    ]
    try:
        for process in processes:
            process.start()
        _let_ctrl_c_set(lines.enough)
        yield processes, lines
        for process in processes:
            process.join(timeout=target.timeout)
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()


def _let_ctrl_c_set(enough: Event) -> None:
    def stop_writing(_number: int, _frame: FrameType | None) -> None:
        enough.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, stop_writing)


def _messages(outbox: "Queue[Any]", processes: list[BaseProcess]) -> Iterator[Any]:
    """Yield what the clients say; fail if one of them died."""
    while True:
        try:
            yield outbox.get(timeout=1)
        except queue.Empty:
            codes = [process.exitcode for process in processes if process.exitcode]
            if codes:
                message = f"a client process ended with exit code {codes[0]}"
                raise NotTestable(message) from None


def _walk(deployment: Deployment, user: str) -> Iterator[dict[str, Any]]:
    cursor: str | None = ""
    while cursor is not None:
        params = {**_of(user), "limit": str(LIST_PAGE), **({"cursor": cursor} if cursor else {})}
        answer = deployment.ask("list", "GET", MEMORIES, params=params, expect=[200])
        if answer is None:
            return
        yield from answer.body["data"]
        cursor = answer.body["next_cursor"]


def _of(user: str) -> dict[str, str]:
    return {"user_id": user}
