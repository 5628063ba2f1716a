"""Vectors of unit length, or none."""

import pytest

from memapp.embedders.unit_length import unit_rows
from memapp.errors import EmbedderUnavailable


def test_rows_keep_their_direction() -> None:
    rows = unit_rows([[3.0, 4.0], [1e-200, 0.0], [0.0, 1e200]], source="it")

    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, float("nan")]], "not finite"),
        ([[1, float("-inf")]], "not finite"),
        ([[1, 2], [0, 0]], "zeros"),
        ([[]], "zeros"),
    ],
)
def test_a_row_without_a_direction_is_refused(values: list[list[float]], message: str) -> None:
    with pytest.raises(EmbedderUnavailable, match=f"^it gave a vector .*{message}"):
        unit_rows(values, source="it")
