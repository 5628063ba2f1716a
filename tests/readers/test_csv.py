import pytest

from memapp.errors import InvalidInput
from memapp.readers.csv import create
from memapp.readers.limits import joined


def text_of(content: str) -> str:
    return create().read(content.encode(), name="menu.csv").text


def test_each_row_is_a_line_that_names_its_columns() -> None:
    content = 'Name,Price,Note\r\nTea,"2,50","a\nb"\r\n\r\nCoffee,,,extra\r\n'

    read = create().read(content.encode(), name="menu.csv")

    assert read.text == "Name: Tea; Price: 2,50; Note: a b\nName: Coffee; extra\n"
    assert (read.title, read.format) == ("menu.csv", "lines")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_that_of_the_first_line(separator: str) -> None:
    rows = [["a", "b"], ["1", "2"]]

    content = "\n".join(separator.join(row) for row in rows)

    assert text_of(content) == "a: 1; b: 2\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [("", ""), ("a,b\n", "a; b"), ("a\n1\n2", "a: 1\na: 2\n"), (",\n1,2", "1; 2\n")],
)
def test_small_tables_are_read_too(content: str, text: str) -> None:
    assert text_of(content) == text


def test_a_table_with_a_quote_that_never_ends_is_refused_with_the_line() -> None:
    with pytest.raises(InvalidInput, match="is no table in line") as caught:
        text_of('a,b\n"' + "x\n" * 200_000)

    assert caught.value.errors[0].pointer == "/file"


def test_a_text_longer_than_allowed_is_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 5 characters"):
        joined(["abc", "def"], most=5)
    assert joined(["abc", "de"], most=5) == "abcde"
