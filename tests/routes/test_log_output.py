"""A line of the log begins with when it was written, and stays whole."""

import io
import logging
import threading
from pathlib import Path

import pytest

from memapp.routes.log_output import _Formatter, _LineHandler


@pytest.mark.parametrize(
    ("moment", "ending"), [(10.9997, ":10,999"), (10.0, ":10,000"), (11.05, ":11,050")]
)
def test_a_time_has_three_digits_behind_its_seconds(moment: float, ending: str) -> None:
    formatter = _Formatter("%(asctime)s")
    for created in (10.5, moment):
        record = logging.makeLogRecord({"created": created, "msecs": created % 1 * 1000 + 1e-6})
        written = formatter.format(record)
    assert written.endswith(ending)


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    with (tmp_path / "log").open("a") as stream:
        handler = _LineHandler(stream)

        def write(mark: str) -> None:
            for _ in range(200):
                handler.handle(logging.makeLogRecord({"msg": mark * 3000}))

        threads = [threading.Thread(target=write, args=(mark,)) for mark in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = (tmp_path / "log").read_text().splitlines()
    assert sorted(set(lines)) == [mark * 3000 for mark in "abcdefgh"]
    assert len(lines) == 1600


def test_a_stream_that_is_no_file_is_written_to_all_the_same() -> None:
    stream = io.StringIO()
    _LineHandler(stream).handle(logging.makeLogRecord({"msg": "said"}))
    assert stream.getvalue() == "said\n"


def test_what_cannot_be_encoded_is_written_escaped(tmp_path: Path) -> None:
    with (tmp_path / "log").open("a") as stream:
        _LineHandler(stream).handle(logging.makeLogRecord({"msg": "half \ud800"}))
    assert (tmp_path / "log").read_text() == "half \\ud800\n"
