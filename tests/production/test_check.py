"""`memapp-check` calls every lie by its name, and an honest deployment clean."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memapp.check.texts import unique_text
from tests.chroma_server import free_port
from tests.production.checking import WITHOUT_END, Check, wrongs
from tests.production.lying_server import LIES, another_server, lying_server

COMMAND = Path(sys.executable).parent / "memapp-check"


def run_check(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **environ},
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )


def findings_of(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    report: dict[str, Any] = json.loads(run.stdout)
    return {wrong: count for wrong, count in report["findings"].items() if count}


@pytest.mark.parametrize("lie", [lie for lie in LIES if lie != "none"])
def test_every_lie_is_called_by_its_name(lie: str) -> None:
    with lying_server(lie) as url:
        run = run_check(url, "--clients", "2", "--writes", "16", "--json")
    assert run.returncode == 1, run.stderr
    assert LIES[lie] in findings_of(run)


def test_an_honest_deployment_is_clean() -> None:
    with lying_server("none") as url:
        run = run_check(url, "--clients", "3", "--writes", "16", "--workers", "1", "--json")
    report = json.loads(run.stdout)
    assert findings_of(run) == {}
    assert report["writes"] == 48
    assert list(report["workers"]) == ["the only one"]
    assert run.returncode == 0


def test_the_report_for_people_ends_in_the_verdict() -> None:
    with lying_server("none") as url:
        run = run_check(url, "--clients", "2", "--writes", "2")
    assert run.stdout.splitlines()[0].startswith("4 memories in ")
    assert "0 lost  0 stale  0 ghost  0 duplicate  0 failed" in run.stdout
    assert run.stdout.splitlines()[-1] == "PASSED"


def test_a_worker_that_never_answers_fails_the_check() -> None:
    with lying_server("none") as url:
        run = run_check(url, "--clients", "2", "--writes", "2", "--workers", "2")
    assert run.returncode == 1
    assert "1 workers answered, and there should be 2" in run.stdout


def test_patience_repeats_what_broke_without_calling_it_a_fault() -> None:
    with lying_server("hangs up on every tenth request") as url:
        run = run_check(url, "--clients", "2", "--writes", "8", "--patience", "10", "--json")
    assert findings_of(run) == {}
    assert json.loads(run.stdout)["unavailable"] > 0


def test_writing_stops_after_the_given_time() -> None:
    with lying_server("none") as url:
        run = run_check(url, "--clients", "2", "--writes", "100000", "--seconds", "1", "--json")
    assert 0 < json.loads(run.stdout)["writes"] < 20000
    assert run.returncode == 0


def test_ctrl_c_ends_the_writing_and_reports() -> None:
    with lying_server("none") as url:
        check = Check(url, more=WITHOUT_END)
        check.wait_for_load()
        report = check.finish()
    assert wrongs(report) == {}
    assert 0 < report["writes"] < 20000


def test_a_deployment_that_is_down_is_reported_in_one_line() -> None:
    run = run_check(f"http://127.0.0.1:{free_port()}")
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("memapp-check: cannot test this deployment: ")
    assert run.stderr.count("\n") == 1


def test_an_address_that_shows_a_page_cannot_be_tested() -> None:
    with another_server("<html>Welcome</html>") as url:
        run = run_check(url)
    assert run.returncode == 2
    assert run.stderr.startswith("memapp-check: cannot test this deployment: list (GET ")
    assert run.stderr.endswith(": 200 without a JSON object: <html>Welcome</html>\n")
    assert run.stderr.count("\n") == 1


def test_a_client_process_that_ended_is_told() -> None:
    with another_server("{}") as url:
        run = run_check(url, "--clients", "2")
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == (
        "memapp-check: cannot test this deployment: a client process ended with exit code 1"
    )


@pytest.mark.parametrize("forbidden", ["GET", "DELETE"])
def test_a_key_that_may_not_read_and_write_is_told_at_once(forbidden: str) -> None:
    with lying_server("none", forbids=forbidden) as url:
        run = run_check(url)
    assert run.returncode == 2
    assert run.stderr == (
        "memapp-check: cannot test this deployment: the key needs the scopes memory:read and "
        "memory:write, and lacks one (403)\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["localhost:8080"], ["ftp://x"], ["http://x", "--clients", "1"]],
)
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    run = run_check(*arguments)
    assert run.returncode == 2
    assert "usage: memapp-check" in run.stderr


def test_no_two_texts_of_a_run_are_alike() -> None:
    texts = [unique_text("run", number, edition=number % 2) for number in range(400)]
    words = [set(text.split()) for text in texts]
    assert len({text.split()[-1] for text in texts}) == 400
    assert max(len(a & b) for a in words for b in words if a is not b) <= 5


def test_a_text_is_the_same_in_every_process() -> None:
    assert unique_text("run", 7) == unique_text("run", 7)
    assert unique_text("run", 7) != unique_text("run", 7, edition=1)
    assert unique_text("run", 7) != unique_text("other", 7)
