import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memapp.errors import InvalidInput
from memapp.services.paging import Page, Position, newest_first

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def position(item: Position) -> Position:
    return item


def page(items: list[Position], *, limit: int = 2, cursor: str | None = None) -> Page[Position]:
    return newest_first(items, position, limit=limit, cursor=cursor)


def test_the_newest_items_come_first_and_ties_are_ordered_by_id() -> None:
    older, newer_a, newer_b = (NOON, "z"), (NOON + timedelta(1), "a"), (NOON + timedelta(1), "b")

    assert page([older, newer_a, newer_b], limit=3) == Page([newer_b, newer_a, older], None)


def test_the_last_page_has_no_cursor_even_when_it_is_full() -> None:
    assert page([(NOON, "a"), (NOON, "b")], limit=2).next_cursor is None
    assert page([], limit=2) == Page([], None)


@given(
    st.sets(st.tuples(st.integers(0, 3), st.text(max_size=3)), max_size=12),
    st.integers(1, 5),
)
def test_a_walk_sees_every_item_exactly_once_and_in_order(
    raw: set[tuple[int, str]], limit: int
) -> None:
    items = [(NOON + timedelta(microseconds=offset), item_id) for offset, item_id in raw]

    seen: list[Position] = []
    cursor = None
    while True:
        got = page(items, limit=limit, cursor=cursor)
        seen += got.items
        cursor = got.next_cursor
        if cursor is None:
            break

    assert seen == sorted(items, reverse=True)


def test_a_walk_is_not_disturbed_by_items_that_come_and_go() -> None:
    items = [(NOON + timedelta(hours=n), str(n)) for n in range(6)]
    first = page(items)
    newest_and_last_seen = {items[5], items[4]}
    meanwhile = [*(i for i in items if i not in newest_and_last_seen), (NOON + timedelta(9), "new")]

    second = page(meanwhile, cursor=first.next_cursor)

    assert second.items == [items[3], items[2]]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "not base64!",
        base64.urlsafe_b64encode(b"[").decode(),
        base64.urlsafe_b64encode(b"7").decode(),
        base64.urlsafe_b64encode(b"[7, 7]").decode(),
        base64.urlsafe_b64encode(b'["2026-01-31T12:00:00", "a"]').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
        base64.urlsafe_b64encode(json.dumps([NOON.isoformat()]).encode()).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_made_up_cursor_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        page([(NOON, "a")], cursor=cursor)

    assert caught.value.errors[0].pointer == "?cursor"
