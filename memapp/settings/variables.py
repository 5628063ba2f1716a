"""Take our settings out of environment variables and `.env`.

An empty variable counts as not given: `CHROMA_AUTH_TOKEN=` is how compose files pass on nothing.
"""

from collections.abc import Iterator, Mapping

from memapp.settings import dotenv_file
from memapp.settings.declarations import DECLARED, SWITCH
from memapp.settings.dotenv_file import DotenvFile


def without_copies(environ: Mapping[str, str], dotenv: DotenvFile) -> dict[str, str]:
    """Return the environment without what `flask run` has exported from `.env` into it.

    Flask expands `${NAME}` in the file; taking the file's own text instead gives the same value
    under every server, and names the right source.
    """
    return {
        name: value
        for name, value in environ.items()
        if name not in dotenv.values
        or value not in {dotenv.values[name], dotenv.expanded.get(name)}
    }


def given(variables: Mapping[str, str], *, place: str) -> Iterator[tuple[str, str, str]]:
    """Yield setting, text and source for each setting that the variables give.

    Args:
        variables: By name.
        place: `.env`, or empty for the process's environment.
    """
    for setting in DECLARED:
        for variable in setting.variables:
            if variables.get(variable):
                yield setting.name, variables[variable], source_of(variable, place=place)
                break


def chosen_environment(environ: Mapping[str, str], dotenv: DotenvFile) -> tuple[str, str] | None:
    """Return the name of the environment and its source, or None if no source names one."""
    if environ.get(SWITCH):
        return environ[SWITCH], source_of(SWITCH, place="")
    if dotenv.values.get(SWITCH):
        return dotenv.values[SWITCH], source_of(SWITCH, place=dotenv_file.NAME)
    return None


def source_of(variable: str, *, place: str) -> str:
    """Say where a variable was found."""
    return place or f"environment variable {variable}"
