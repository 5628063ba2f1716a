"""Read tables of separated values: a line for each row, in which each value names its column."""

import csv
import io
from collections.abc import Iterator, Sequence

from memapp.readers.decoding import decoded, unreadable
from memapp.readers.limits import joined
from memapp.readers.titles import clean_title
from memapp.records import ReadDocument

MAX_COLUMN = 60
"""Characters of a column's name that are repeated in each row."""

_SEPARATORS = ",;\t|"


class CsvReader:
    """Read a table whose first row names the columns; `Name: Tea; Price: 2` is a row of it."""

    formats: Sequence[str] = ("csv", "tsv")
    media_types: Sequence[str] = (
        "text/csv",
        "application/csv",
        "text/tab-separated-values",
        "application/vnd.ms-excel",
    )
    suffixes: Sequence[str] = (".csv", ".tsv", ".tab")

    def read(self, content: bytes, *, name: str) -> ReadDocument:
        """Read one file."""
        text = decoded(content)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
        try:
            lines = joined(_lines(rows))
        except csv.Error as error:
            detail = f"is no table in line {rows.line_num} ({error}); check its quotes"
            raise unreadable(detail) from error
        return ReadDocument(lines, title=clean_title(name), format="lines")


def create() -> CsvReader:
    """Return the reader."""
    return CsvReader()


def _separator(text: str) -> str:
    """Return the separator of which the first line has most; a comma if it has none."""
    first = text[: text.find("\n") if "\n" in text else len(text)]
    return max(_SEPARATORS, key=first.count)


def _lines(rows: Iterator[list[str]]) -> Iterator[str]:
    columns = [_one_line(cell)[:MAX_COLUMN] for cell in next(rows, [])]
    written = 0
    for row in rows:
        cells = [_one_line(cell) for cell in row]
        names = columns[: len(cells)] + [""] * (len(cells) - len(columns))
        named = [
            f"{column}: {cell}" if column else cell
            for column, cell in zip(names, cells, strict=True)
            if cell
        ]
        if named:
            yield "; ".join(named) + "\n"
            written += 1
    if not written:
        yield "; ".join(column for column in columns if column)


def _one_line(cell: str) -> str:
    return " ".join(cell.split())
