"""A line of the log begins with when it was written."""

import logging

import pytest

from memapp.routes.log_output import _Formatter


@pytest.mark.parametrize(
    ("moment", "ending"), [(10.9997, ":10,999"), (10.0, ":10,000"), (11.05, ":11,050")]
)
def test_a_time_has_three_digits_behind_its_seconds(moment: float, ending: str) -> None:
    formatter = _Formatter("%(asctime)s")
    for created in (10.5, moment):
        record = logging.makeLogRecord({"created": created, "msecs": created % 1 * 1000 + 1e-6})
        written = formatter.format(record)
    assert written.endswith(ending)
