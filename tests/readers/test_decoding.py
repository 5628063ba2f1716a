import pytest

from memapp.errors import InvalidInput
from memapp.readers.decoding import decoded


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"]
)
def test_utf_8_and_whatever_has_a_byte_order_mark_is_read(encoding: str) -> None:
    text = "Grüße, 世界 👋\r\n"
    mark = "\ufeff" if encoding.endswith(("-le", "-be")) else ""

    assert decoded((mark + text).encode(encoding)) == text


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("Grüße".encode("latin-1"), "is not UTF-8 text (at byte 2)"),
        (b"\xff\xfeabc", "is not UTF-16 text"),
        (b"\xed\xa0\x80", "is not UTF-8 text (at byte 0)"),
        (b"text\0text", "holds NUL characters"),
        (b"\x89PNG\r\n\x1a\n\0", "is not UTF-8 text (at byte 0)"),
    ],
)
def test_what_is_no_text_is_refused_with_the_mend(content: bytes, rule: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decoded(content)

    (error,) = caught.value.errors
    assert error.pointer == "/file"
    assert rule in error.detail
