"""JSON is read strictly: nothing is guessed, rounded or dropped."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memapp.routes import strict_json

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_TREES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(_TREES)
def test_good_json_is_read_as_it_was_written(tree: Any) -> None:
    assert strict_json.read(json.dumps(tree).encode()) == tree
    assert strict_json.read(json.dumps(tree, ensure_ascii=False).encode()) == tree
    assert strict_json.faults(tree) == []


@given(st.binary())
def test_bytes_are_read_or_refused_but_never_fail(raw: bytes) -> None:
    with suppress(strict_json.MalformedJson):
        strict_json.faults(strict_json.read(raw))


@given(_TREES, st.data())
def test_json_that_was_cut_off_is_refused(tree: Any, data: st.DataObject) -> None:
    raw = json.dumps([tree]).encode()
    end = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(strict_json.MalformedJson):
        strict_json.read(raw[:end])


@pytest.mark.parametrize(
    ("raw", "pointers"),
    [
        ('{"a": NaN}', ["/a"]),
        ('{"a": [1, Infinity, {"b": -Infinity}]}', ["/a/1", "/a/2/b"]),
        ('{"a": 1e999, "b": -1e999, "c": 1e308}', ["/a", "/b"]),
        ('{"a": 9223372036854775808, "b": 9223372036854775807}', ["/a"]),
        ('{"a": -9223372036854775809, "b": -9223372036854775808}', ["/a"]),
        ('{"a": ' + "9" * 5000 + "}", ["/a"]),
        ('{"a": 1, "b": 2, "a": 3, "b": 4, "c": 5}', ["/a", "/b"]),
        ('[{"a": {"b": 1, "b": 1}}]', ["/0/a/b"]),
        ('{"a": "\\ud800", "b": "\\udc00", "c": "\\ud83d\\ude42"}', ["/a", "/b"]),
        ('{"\\ud800": 1}', ["/?"]),
        ('{"a/b~c": NaN}', ["/a~1b~0c"]),
        ("true", []),
    ],
)
def test_values_that_programs_read_differently_are_found_where_they_are(
    raw: str, pointers: list[str]
) -> None:
    tree = strict_json.read(raw.encode())
    assert [fault.pointer for fault in strict_json.faults(tree)] == pointers


@pytest.mark.parametrize("bracket", ["[]", '{"a":}'])
def test_the_depth_is_limited_exactly(bracket: str) -> None:
    begin, end = bracket[:-1], bracket[-1]
    depth = strict_json.MAX_DEPTH
    strict_json.read((begin * depth + "1" + end * depth).encode())
    with pytest.raises(strict_json.MalformedJson, match="deeper than 32"):
        strict_json.read((begin * (depth + 1) + "1" + end * (depth + 1)).encode())


@pytest.mark.parametrize("bomb", [b"[" * 1_000_000, b'{"a":' * 200_000, b"[[]," * 300_000])
def test_a_bomb_of_brackets_is_refused_quickly(bomb: bytes) -> None:
    with pytest.raises(strict_json.MalformedJson):
        strict_json.read(bomb)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "it ends too early"),
        (b'{"a": 1', "it ends too early"),
        (b'{"a": "x', "it ends too early"),
        (b'{"a": 1}\n\n  x', "line 3, column 3"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a": "\xff"}', r"not UTF-8 \(byte 7\)"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
    ],
)
def test_the_message_says_what_is_wrong_and_where(raw: bytes, message: str) -> None:
    with pytest.raises(strict_json.MalformedJson, match=message):
        strict_json.read(raw)
