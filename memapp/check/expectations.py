"""What an answer must show, given what was acknowledged before it was asked for."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from memapp.check.deployment import Answer
from memapp.check.findings import Finding, Wrong

NOT_FOUND = 404


class State(StrEnum):
    """What was last acknowledged about a memory.

    Attributes:
        PRESENT: It was written or changed.
        DELETED: It was deleted.
        UNKNOWN: A request about it failed, so that nothing can be expected.
    """

    PRESENT = "present"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Item:
    """One memory of a run.

    Attributes:
        number: Within the run.
        user_id: Whose it is.
        text: As last acknowledged.
        id: What the deployment calls it; empty while unknown.
        created_at: When, as the deployment says.
        state: What was last acknowledged.
        former_text: Text before the last change; empty if there was none.
    """

    number: int
    user_id: str
    text: str
    id: str = ""
    created_at: str = ""
    state: State = State.PRESENT
    former_text: str = ""


def found_first(answer: Answer, item: Item, deleted: Container[str]) -> Iterator[Finding]:
    """A search for the exact text of a memory shows it first."""
    rows = _rows(answer)
    yield from _oddities(answer, rows, deleted)
    ids = [row["id"] for row in rows]
    if item.id not in ids:
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} is not found by its own text")
    elif ids[0] != item.id:
        rank = ids.index(item.id) + 1
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} comes at rank {rank}, not first")
    elif rows[0]["text"] != item.text:
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} is shown with an old text")


def found_alone(answer: Answer, item: Item, deleted: Container[str]) -> Iterator[Finding]:
    """A search narrowed to one memory's metadata shows it and nothing else."""
    rows = _rows(answer)
    yield from _oddities(answer, rows, deleted)
    ids = {row["id"] for row in rows}
    if item.id not in ids:
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} is not found by its metadata")
    if ids - {item.id}:
        yield Finding(Wrong.DUPLICATE, f"{answer.asked}: {_of(item)} comes with others like it")


def not_found(answer: Answer, item: Item, deleted: Container[str]) -> Iterator[Finding]:
    """A search does not show a deleted memory."""
    rows = _rows(answer)
    yield from _oddities(answer, [row for row in rows if row["id"] != item.id], deleted)
    if any(row["id"] == item.id for row in rows):
        yield Finding(Wrong.GHOST, f"{answer.asked}: {_of(item)} was deleted and is found")


def not_found_by_former_text(answer: Answer, item: Item) -> Iterator[Finding]:
    """A search does not show the text that a memory had before it was changed."""
    if any(row["text"] == item.former_text for row in _rows(answer)):
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} is found with its former text")


def read_as_written(answer: Answer, item: Item) -> Iterator[Finding]:
    """A memory read by its id is there, with its latest text."""
    if answer.status == NOT_FOUND:
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} is not there")
    elif answer.body["text"] != item.text:
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} is shown with an old text")


def not_read(answer: Answer, item: Item) -> Iterator[Finding]:
    """A deleted memory cannot be read by its id."""
    if answer.status != NOT_FOUND:
        yield Finding(Wrong.GHOST, f"{answer.asked}: {_of(item)} was deleted and is there")


def listed(answer: Answer, item: Item, deleted: Container[str], *, limit: int) -> Iterator[Finding]:
    """The first page of the newest memories shows a new one."""
    rows = _rows(answer)
    yield from _oddities(answer, rows, deleted)
    if any(row["id"] == item.id for row in rows):
        return
    # Others write too: a full page of newer memories is no fault.
    if len(rows) < limit or rows[-1]["created_at"] < item.created_at:
        yield Finding(Wrong.STALE, f"{answer.asked}: {_of(item)} is not listed")


def missing_at_rest(walked: Sequence[Mapping[str, Any]], items: Sequence[Item]) -> list[Item]:
    """Return what was acknowledged and is not in the whole list of its user.

    Args:
        walked: Every memory that the pages showed.
        items: Every item of that user.
    """
    ids = {row["id"] for row in walked}
    return [item for item in items if item.state is State.PRESENT and item.id not in ids]


def too_much_at_rest(
    walked: Sequence[Mapping[str, Any]], items: Sequence[Item]
) -> Iterator[Finding]:
    """The whole list of a user shows nothing but what was acknowledged, and each once.

    Args:
        walked: Every memory that the pages showed.
        items: Every item of that user.
    """
    by_id = {item.id: item for item in items if item.id}
    unknown_texts = {item.text for item in items if item.state is State.UNKNOWN}
    ids = [row["id"] for row in walked]
    for row in {row["id"]: row for row in walked}.values():
        known = by_id.get(row["id"])
        if known is not None and known.state is State.DELETED:
            yield Finding(Wrong.GHOST, f"list at rest: {_of(known)} was deleted and is listed")
        elif known is None and row["text"] not in unknown_texts:
            yield Finding(Wrong.DUPLICATE, f"list at rest: {row['id']} was never acknowledged")
    for repeated in {i for i in ids if ids.count(i) > 1}:
        yield Finding(Wrong.DUPLICATE, f"list at rest: {repeated} is listed twice")


def _rows(answer: Answer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = answer.body["data"]
    return rows


def _oddities(
    answer: Answer, rows: Sequence[Mapping[str, Any]], deleted: Container[str]
) -> Iterator[Finding]:
    """What no answer may show, whatever was asked for."""
    ids = [row["id"] for row in rows]
    texts = [row["text"] for row in rows]
    if len(set(ids)) < len(ids):
        yield Finding(Wrong.DUPLICATE, f"{answer.asked}: shows one memory twice")
    elif len(set(texts)) < len(texts):
        yield Finding(Wrong.DUPLICATE, f"{answer.asked}: shows one text as two memories")
    for ghost in [i for i in ids if i in deleted]:
        yield Finding(Wrong.GHOST, f"{answer.asked}: {ghost} was deleted and is shown")


def _of(item: Item) -> str:
    return f"memory {item.number} ({item.id})"
