"""Whatever fails in the process that rehearses is told by the one that asked."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from memapp.errors import ConfigurationError
from memapp.rehearsal import refuse_what_fails


def _faults_of(rehearsed: Callable[[], object], seconds: float | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        refuse_what_fails(rehearsed, seconds=seconds)
    return caught.value.faults


def _is_gone(process: Path) -> bool:
    try:
        os.kill(int(process.read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_what_can_be_done_is_done_in_a_process_that_is_gone_then(tmp_path: Path) -> None:
    process = tmp_path / "pid"

    refuse_what_fails(lambda: process.write_text(str(os.getpid())))

    assert _is_gone(process)


def test_all_faults_of_a_configuration_are_told() -> None:
    def fail() -> None:
        raise ConfigurationError("one", "two" * 100_000)

    assert _faults_of(fail) == ("one", "two" * 100_000)


def test_whatever_else_is_raised_is_told_in_one_line_with_its_type_and_place() -> None:
    def fail() -> None:
        raise KeyboardInterrupt("in\ntwo lines")

    (fault,) = _faults_of(fail)

    line = fail.__code__.co_firstlineno + 1
    assert fault == (
        f"making the app fails in {__file__}, line {line}, with KeyboardInterrupt: in two lines; "
        "mend it, or take it out"
    )


def test_a_syntax_error_is_told_with_its_own_place() -> None:
    (fault,) = _faults_of(lambda: compile("\nx = = 1", "plug.py", "exec"))

    assert "in plug.py, line 2, with SyntaxError: invalid syntax" in fault


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_killed_is_a_fault(number: int) -> None:
    (fault,) = _faults_of(lambda: os.kill(os.getpid(), number))

    assert "ends its process without a word" in fault


def test_what_takes_too_long_is_a_fault_and_is_ended(tmp_path: Path) -> None:
    process = tmp_path / "pid"

    def wait() -> None:
        process.write_text(str(os.getpid()))
        time.sleep(600)

    (fault,) = _faults_of(wait, seconds=1)

    assert "takes longer than 1 s" in fault
    assert _is_gone(process)
