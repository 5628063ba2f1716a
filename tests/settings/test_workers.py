import pytest

from memapp.settings.workers import announced


@pytest.mark.parametrize(
    ("arguments", "workers"),
    [
        (["/venv/bin/gunicorn", "-w", "4", "wsgi:app"], 4),
        (["/venv/bin/gunicorn", "-w4", "wsgi:app"], 4),
        (["/venv/bin/gunicorn", "-w=4", "wsgi:app"], 4),
        (["/venv/bin/gunicorn", "--workers", "4", "wsgi:app"], 4),
        (["/venv/bin/gunicorn", "--workers=4", "wsgi:app"], 4),
        (["gunicorn", "-w", "2", "-w", "4", "wsgi:app"], 4),
        (["/site-packages/gunicorn/__main__.py", "-w", "4"], 4),
    ],
)
def test_gunicorns_command_line_is_understood(arguments: list[str], workers: int) -> None:
    assert announced({}, arguments) == (workers, "gunicorn's command line")


def test_the_command_line_of_another_program_is_not_looked_at() -> None:
    assert announced({}, ["/usr/bin/pytest", "-w", "4"]) is None


def test_the_command_line_wins_over_both_variables() -> None:
    environ = {"GUNICORN_CMD_ARGS": "-w 3", "WEB_CONCURRENCY": "4"}

    assert announced(environ, ["gunicorn", "-w", "1"]) == (1, "gunicorn's command line")


def test_the_arguments_in_the_environment_win_over_web_concurrency() -> None:
    environ = {"GUNICORN_CMD_ARGS": "--workers 1", "WEB_CONCURRENCY": "4"}

    assert announced(environ, []) == (1, "environment variable GUNICORN_CMD_ARGS")


@pytest.mark.parametrize(
    "environ",
    [{}, {"WEB_CONCURRENCY": "many"}, {"GUNICORN_CMD_ARGS": "-w"}, {"GUNICORN_CMD_ARGS": "'"}],
)
def test_nobody_announces_workers_where_no_number_is_given(environ: dict[str, str]) -> None:
    assert announced(environ, ["gunicorn", "wsgi:app"]) is None
