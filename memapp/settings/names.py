"""Names that are nearly ours: find what a user meant, and tell strangers from mistakes."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches

from dynaconf import default_settings

from memapp.settings.declarations import (
    BARE_PREFIX,
    BY_NAME,
    DECLARED,
    ENVIRONMENTS,
    PREFIX,
    SWITCH,
)

_VARIABLES = tuple(variable for setting in DECLARED for variable in setting.variables)

_MEANT_AS_SWITCH = re.compile(rf"{PREFIX}(ENV|ENVIRONMENT|ENV_FOR_\w+)")

# Kubernetes injects such variables for every service of the namespace, one called "memapp" or
# "chroma" included.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(
    r"\w+_SERVICE_HOST|\w+_SERVICE_PORT(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")

# What Chroma's own server and client read.
_CHROMA_OWN = re.compile(r"CHROMA_(SERVER|CLIENT|OTEL|API_IMPL|LOGSERVICE|SYSDB|QUOTA|RATE)\w*")

# A process shares its environment with strangers, so only a clear slip is held against the user.
_CLEAR_SLIP = 0.85


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `name`, if any is like it."""
    near = get_close_matches(name, list(known), n=1)
    return near[0] if near else None


def unknown_in_file(names: Iterable[str], place: str) -> Iterator[str]:
    """Complain about names in a section of a settings file that are no settings."""
    for name in names:
        if name.upper() == SWITCH:
            yield f"{name} in {place}: is read from the environment and .env only; set it there"
        elif name.upper() not in BY_NAME:
            hint = nearest(name.upper().removeprefix(PREFIX), BY_NAME)
            yield (
                f"{name} in {place}: there is no such setting"
                + (f"; did you mean {hint}?" if hint else "")
                + _plugin_hint(hint)
            )


def unknown_arguments(names: Iterable[str]) -> Iterator[str]:
    """Complain about arguments of `create_app` that are no settings."""
    for name in names:
        if name not in BY_NAME:
            hint = nearest(name.upper(), BY_NAME)
            yield (
                f"{name} as argument of create_app: there is no such setting"
                + (f"; did you mean {hint}?" if hint else "")
                + _plugin_hint(hint)
            )


def unknown_in_dotenv(values: Mapping[str, str]) -> Iterator[str]:
    """Complain about names in `.env` that look like ours and are not.

    The file is the app's own, so every name with one of our prefixes must be known, and a
    setting's name without its prefix is a mistake, too.
    """
    for name in values:
        if name in _VARIABLES or name == SWITCH or _is_foreign(name, values[name]):
            continue
        if name in BY_NAME:
            yield f"{name} in .env: is not read without its prefix; write {PREFIX}{name}"
        elif name.startswith((PREFIX, BARE_PREFIX)) or _is_clear_slip(name):
            yield _unknown_variable(name, ".env")
        else:
            yield from _misspelt_switch(name, ".env")


def unknown_in_process(environ: Mapping[str, str]) -> Iterator[str]:
    """Complain about environment variables that are clearly meant for us and are not ours."""
    for name in environ:
        if name in _VARIABLES or name == SWITCH or _is_foreign(name, environ[name]):
            continue
        if name.startswith(PREFIX) or _is_clear_slip(name):
            yield _unknown_variable(name, "the environment")
        else:
            yield from _misspelt_switch(name, "the environment")


def environment_fault(name: str, source: str) -> str:
    """Say that there is no such environment."""
    hint = nearest(name.strip().lower(), ENVIRONMENTS)
    return (
        f"{SWITCH} = {name[:60]!r} from {source}: there is no such environment, only "
        f"{' and '.join(ENVIRONMENTS)}" + (f"; did you mean {hint!r}?" if hint else "")
    )


def _unknown_variable(name: str, place: str) -> str:
    hint = SWITCH if _MEANT_AS_SWITCH.fullmatch(name) else nearest(name, _VARIABLES)
    return f"{name} in {place}: there is no such setting" + (
        f"; did you mean {hint}?" if hint else "; remove it ('memapp config' lists all settings)"
    )


def _misspelt_switch(name: str, place: str) -> Iterator[str]:
    is_near = get_close_matches(name, [SWITCH], cutoff=_CLEAR_SLIP)
    if is_near and not hasattr(default_settings, name):
        yield f"{name} in {place}: did you mean {SWITCH}?"


def _plugin_hint(hint: str | None) -> str:
    return "" if hint else "; settings of Flask and of plug-ins go into the table FLASK"


def _is_foreign(name: str, value: str) -> bool:
    return bool(
        _SERVICE_LINK.fullmatch(name)
        or (name.endswith("_PORT") and _SERVICE_ADDRESS.match(value))
        or _CHROMA_OWN.fullmatch(name)
        or "__" in name
    )


def _is_clear_slip(name: str) -> bool:
    """Tell whether a name was meant to be ours: MEMAP_AUTH is, CHROME_HOST a stranger's."""
    first_word = f"{name.split('_', maxsplit=1)[0]}_"
    if first_word != BARE_PREFIX and _likeness(first_word, PREFIX) < _CLEAR_SLIP:
        return False
    return bool(get_close_matches(name, _VARIABLES, n=1, cutoff=_CLEAR_SLIP))


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
