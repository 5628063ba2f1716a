"""Pages of a list, newest first, that stay right while others write.

A cursor names the position after which the next page begins, never a count of items: records
added or removed meanwhile neither shift nor repeat the others.
"""

import base64
import binascii
import heapq
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from memapp.errors import FieldError, InvalidInput

T = TypeVar("T")

Position = tuple[datetime, str]
"""Where an item lies in its list: when it was created (UTC), then its id."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: In the list's order.
        next_cursor: Opaque; asks for the page after this one; None on the last page.
    """

    items: list[T]
    next_cursor: str | None


def newest_first(
    items: Iterable[T], key: Callable[[T], Position], *, limit: int, cursor: str | None
) -> Page[T]:
    """Cut one page out of unordered items, newest first, ties by id.

    Args:
        items: All items of the list as they are now.
        key: Gives an item's position; no two items share one.
        limit: How many items the page may hold; at least 1.
        cursor: The previous page's `next_cursor`; None asks for the first page.

    Raises:
        InvalidInput: the cursor is not one that memapp gave out; pointer `?cursor`.
    """
    last = None if cursor is None else _decoded(cursor)
    rest = (item for item in items if last is None or key(item) < last)
    found = heapq.nlargest(limit + 1, rest, key=key)
    page = found[:limit]
    return Page(page, _encoded(key(page[-1])) if len(found) > limit else None)


def _encoded(position: Position) -> str:
    moment, item_id = position
    raw = json.dumps([moment.astimezone(UTC).isoformat(), item_id]).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(cursor: str) -> Position:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        moment, item_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        position = datetime.fromisoformat(moment), str(item_id)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise _foreign_cursor() from error
    if position[0].tzinfo is None:
        raise _foreign_cursor()
    return position


def _foreign_cursor() -> InvalidInput:
    detail = "is not a cursor of this list; pass the last page's next_cursor, or leave it out"
    return InvalidInput([FieldError("?cursor", detail)])
