"""One client process: writes memories, and looks for what the other clients wrote.

A memory goes round: one client writes it, the next looks for it and changes or deletes some, the
one after looks for that. So whoever looks is never the one to whom it was acknowledged, and every
client writes, changes, deletes and looks at the same time.
"""

import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any

from memapp.check import expectations
from memapp.check.deployment import Answer, Deployment, Target
from memapp.check.expectations import NOT_FOUND, Item, State
from memapp.check.findings import Finding, Tally, Wrong
from memapp.check.texts import unique_text

MEMORIES = "/v1/memories"
PAGE = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What the clients of a run do.

    Attributes:
        run: Its name; user ids begin with it.
        clients: How many there are.
        writes: How many memories each writes.
        seconds: When to stop writing, even if fewer are written; 0 for never.
    """

    run: str
    clients: int
    writes: int
    seconds: float = 0.0

    def user_of(self, number: int) -> str:
        """Return whose the memory of that number is; every client writes for every user."""
        return f"{self.run}-{number // self.clients % self.clients}"

    @property
    def users(self) -> list[str]:
        """All users of the run."""
        return [f"{self.run}-{index}" for index in range(self.clients)]


@dataclass(frozen=True, slots=True)
class Passed:
    """An item to look for, from the client to whom it was acknowledged.

    Attributes:
        item: What to look for.
        is_new: Whether it has only been written yet.
    """

    item: Item
    is_new: bool


@dataclass(frozen=True, slots=True)
class Audit:
    """Items to look for once more, when nobody writes any more."""

    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Settled:
    """An item that nobody will change any more."""

    item: Item


@dataclass(frozen=True, slots=True)
class Written:
    """A client has written all it will write.

    Attributes:
        number: How many.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Audited:
    """A client has looked through its share.

    Attributes:
        items: Those of it that are not there, or not found.
    """

    items: Sequence[Item]


class Stop:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Lines:
    """How the clients and the coordinator talk.

    Attributes:
        inboxes: Where each client is told what to look for.
        outbox: Where all clients tell what they did.
        enough: Set once no more is to be written.
    """

    inboxes: "Sequence[Queue[Any]]"
    outbox: "Queue[Any]"
    enough: Event


def run_client(index: int, plan: Plan, target: Target, lines: Lines) -> None:
    """Be client number `index` until told to stop; the body of a process."""
    # Ctrl-C reaches every process of the terminal; the coordinator alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tally = Tally()
    client = _Client(plan, Deployment(target, tally), tally)
    inbox, following = lines.inboxes[index], lines.inboxes[(index + 1) % plan.clients]
    outbox = lines.outbox

    def handle(message: Passed | Audit) -> None:
        if isinstance(message, Audit):
            outbox.put(Audited(client.audit(message.items)))
            return
        item = message.item
        client.look_for(item, is_new=message.is_new)
        changed = client.change(item) if message.is_new else item
        if changed is item or changed.state is State.UNKNOWN:
            outbox.put(Settled(changed))
        else:
            following.put(Passed(changed, is_new=False))

    end = time.monotonic() + plan.seconds if plan.seconds else float("inf")
    number = 0
    while number < plan.writes and time.monotonic() < end and not lines.enough.is_set():
        # What others have just been told goes first: it is to be looked for at once.
        while not inbox.empty():
            handle(inbox.get())
        item = client.write(number * plan.clients + index)
        number += 1
        if item.state is State.PRESENT:
            following.put(Passed(item, is_new=True))
        else:
            outbox.put(Settled(item))
    outbox.put(Written(number))
    while not isinstance(message := inbox.get(), Stop):
        handle(message)
    outbox.put(tally)


class _Client:
    """What a client does with one memory."""

    def __init__(self, plan: Plan, deployment: Deployment, tally: Tally) -> None:
        self._plan = plan
        self._deployment = deployment
        self._tally = tally
        self._deleted: set[str] = set()

    def write(self, number: int) -> Item:
        """Write a memory and find it."""
        item = Item(number, self._plan.user_of(number), unique_text(self._plan.run, number))
        body = {"user_id": item.user_id, "text": item.text, "metadata": {"number": number}}
        answer = self._deployment.ask("write", "POST", MEMORIES, json=body, expect=(200, 201))
        if answer is None:
            return replace(item, state=State.UNKNOWN)
        if answer.status == 200 and not answer.is_repeated:  # noqa: PLR2004
            self._note([Finding(Wrong.DUPLICATE, f"{answer.asked}: was there already")])
        item = replace(item, id=answer.body["id"], created_at=answer.body["created_at"])
        self._search(item)
        return item

    def look_for(self, item: Item, *, is_new: bool) -> None:
        """See whether the deployment shows what was acknowledged to another client."""
        if item.state is State.DELETED:
            self._look_for_deleted(item)
            self._deleted.add(item.id)
            return
        self._read(item)
        self._search(item)
        if item.former_text and (answer := self._asked_for(item.user_id, item.former_text)):
            self._note(expectations.not_found_by_former_text(answer, item))
        if is_new and item.number % 5 == 0:
            params = {"user_id": item.user_id, "limit": str(PAGE)}
            if answer := self._deployment.ask("list", "GET", MEMORIES, params=params, expect=[200]):
                self._note(expectations.listed(answer, item, self._deleted, limit=PAGE))
        if item.number % 4 == 0:
            narrowed = {"filter": {"metadata.number": item.number}}
            if answer := self._asked_for(item.user_id, item.text, **narrowed):
                self._note(expectations.found_alone(answer, item, self._deleted))

    def change(self, item: Item) -> Item:
        """Change a quarter of the memories, delete a quarter, and leave the rest."""
        # By blocks, so that every client writes and meets every sort.
        sort = item.number // self._plan.clients % 4
        path = f"{MEMORIES}/{item.id}"
        if sort == 1:
            text = unique_text(self._plan.run, item.number, edition=1)
            body = {"text": text}
            if self._deployment.ask("update", "PATCH", path, json=body, expect=[200]) is None:
                return replace(item, state=State.UNKNOWN)
            return replace(item, text=text, former_text=item.text)
        if sort == 3:  # noqa: PLR2004
            answer = self._deployment.ask("delete", "DELETE", path, expect=[204, NOT_FOUND])
            if answer is None:
                return replace(item, state=State.UNKNOWN)
            if answer.status == NOT_FOUND and not answer.is_repeated:
                self._note([Finding(Wrong.STALE, f"{answer.asked}: is not there to be deleted")])
            return replace(item, state=State.DELETED)
        return item

    def audit(self, items: Sequence[Item]) -> list[Item]:
        """Look for items once more; return those that are lost, and note ghosts."""
        lost = []
        for item in items:
            if item.state is State.DELETED:
                self._look_for_deleted(item)
            elif item.state is State.PRESENT and any([*self._missing(item)]):
                lost.append(item)
        return lost

    def _missing(self, item: Item) -> Iterator[Finding]:
        path = f"{MEMORIES}/{item.id}"
        if answer := self._deployment.ask("read", "GET", path, expect=[200, NOT_FOUND]):
            yield from expectations.read_as_written(answer, item)
        # By meaning alone: only a vector that is in the index is found so.
        if answer := self._asked_for(item.user_id, item.text, mode="semantic"):
            yield from expectations.found_first(answer, item, self._deleted)

    def _look_for_deleted(self, item: Item) -> None:
        path = f"{MEMORIES}/{item.id}"
        if answer := self._deployment.ask("read", "GET", path, expect=[200, NOT_FOUND]):
            self._note(expectations.not_read(answer, item))
        if answer := self._asked_for(item.user_id, item.text):
            self._note(expectations.not_found(answer, item, self._deleted))

    def _read(self, item: Item) -> None:
        path = f"{MEMORIES}/{item.id}"
        if answer := self._deployment.ask("read", "GET", path, expect=[200, NOT_FOUND]):
            self._note(expectations.read_as_written(answer, item))

    def _search(self, item: Item) -> None:
        mode = "hybrid" if item.number % 3 == 0 else "semantic"
        if answer := self._asked_for(item.user_id, item.text, mode=mode):
            self._note(expectations.found_first(answer, item, self._deleted))

    def _asked_for(self, user_id: str, query: str, **more: object) -> Answer | None:
        body = {"user_id": user_id, "query": query, "limit": 5, **more}
        return self._deployment.ask("search", "POST", f"{MEMORIES}/search", json=body, expect=[200])

    def _note(self, findings: "Iterator[Finding] | list[Finding]") -> None:
        for finding in findings:
            self._tally.record(finding)
