import json

import pytest

from memapp.errors import InvalidInput
from memapp.readers.json import MAX_VALUES, create


def text_of(content: str | bytes) -> str:
    raw = content if isinstance(content, bytes) else content.encode()
    return create().read(raw, name="x.json").text


def test_each_value_is_a_line_with_its_path() -> None:
    content = """{"title": "Order 7", "customer": {"name": "Ann", "tags": ["new", 2, true, null]},
        "items": [{"sku": "A", "price": 1.50}, {"sku": "B", "note": "two\\nlines"}],
        "empty": [], "nothing": null, "big": 123456789012345678901234567890, "e": 1E400}"""

    read = create().read(content.encode(), name="")

    assert read.title == "Order 7"
    assert read.format == "lines"
    assert read.text == (
        "title: Order 7\ncustomer.name: Ann\ncustomer.tags: new, 2, true\n"
        "items.sku: A\nitems.price: 1.50\n\nitems.sku: B\nitems.note: two\nlines\n\n"
        "big: 123456789012345678901234567890\ne: 1E400\n"
    )


def test_json_lines_are_parted_by_blank_lines() -> None:
    assert text_of('{"a": 1}\r\n\n{"a": 2}\n') == "a: 1\n\na: 2\n\n"


def test_json_lines_may_hold_more_values_than_one_json_text() -> None:
    line = json.dumps(list(range(1000))) + "\n"

    assert len(text_of(line * (MAX_VALUES // 1000 + 1))) > MAX_VALUES


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('"word"', "word\n"),
        ("[1, 2]", "1, 2\n"),
        ("{}", ""),
        ('{"k": 1, "k": 2}', "k: 1\nk: 2\n"),
        ('"\\ud800 \\u0000"', "\ufffd \ufffd\n"),
        ('{"' + "k" * 100 + '": 1}', "…" + "k" * 60 + ": 1\n"),
    ],
)
def test_any_json_can_be_read(content: str, text: str) -> None:
    assert text_of(content) == text


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "is not JSON (line 1, column 1"),
        ('{"a": 1', "is not JSON (line 1, column 8"),
        ("{'a': 1}", "is not JSON (line 1, column 2"),
        ('{"a": 1}\n{"b":', "is not JSON Lines (line 2, column 6"),
        ("[" * 100_000, "is nested deeper than 100 levels"),
        ('{"a":' * 101 + "1" + "}" * 101, "is nested deeper than 100 levels"),
        ("[" + "1," * MAX_VALUES + "1]", "holds more than 1,000,000 values"),
        (b"\xff{}", "is not UTF-8"),
    ],
)
def test_what_is_no_json_is_refused_with_place_and_mend(content: str | bytes, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        text_of(content)

    (error,) = caught.value.errors
    assert error.pointer == "/file"
    assert rule in error.detail
