"""Find what a setting names: a built-in by its short name, or anything by 'module:attribute'.

Built-ins are written the same way and come in through the same door; nothing is imported before
it is named.
"""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from memapp.errors import ConfigurationError

PLUGIN_FORM = "package.module:attribute"
_SHORT_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_PLUGIN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_plugin_path(name: str) -> bool:
    """Tell whether a name is written 'package.module:attribute' rather than a short name."""
    return _PLUGIN.fullmatch(name) is not None


def faults_in(entries: Sequence[str]) -> Iterator[str]:
    """Say which entries of a setting cannot name anything, and which come twice."""
    for position, entry in enumerate(entries, start=1):
        if not _SHORT_NAME.fullmatch(entry) and not is_plugin_path(entry):
            yield (
                f"entry {position} ({entry[:60]!r}) is neither a short name nor written "
                f"{PLUGIN_FORM!r}"
            )
        if entry in entries[: position - 1]:
            yield f"entry {position} ({entry[:60]!r}) is there twice; remove one"


def resolve(setting: str, name: str, built_in: Mapping[str, str]) -> object:
    """Import what an entry of a setting names.

    Args:
        setting: The setting that holds the entry, for messages.
        name: A key of `built_in`, or 'package.module:attribute'; the attribute may be dotted.
        built_in: Short names and what they stand for, each as 'package.module:attribute'.

    Raises:
        ConfigurationError: there is no such short name, module or attribute, or an import fails.
            Whatever else the module raises while it is imported comes through.
    """
    path = built_in.get(name, name)
    if not is_plugin_path(path):
        fault = (
            f"{setting}: {name!r} is neither one of {sorted(built_in)} nor written "
            f"{PLUGIN_FORM!r}{_hint(name, list(built_in))}"
        )
        raise ConfigurationError(fault)
    module_name, _, attribute_path = path.partition(":")
    module = _imported(f"{setting} = {name!r}", module_name)
    found = module
    for attribute in attribute_path.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            # No chain: the AttributeError says nothing more, and its context may hold values.
            fault = (
                f"{setting} = {name!r}: module {module_name!r} has no {attribute_path!r}"
                f"{_hint(attribute, dir(found))}; check the name behind the colon"
            )
            raise ConfigurationError(fault) from None
    return found


def _hint(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _imported(entry: str, module_name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and _is_part(error.name, module_name):
            fault = (
                f"{entry}: there is no module {error.name!r}; install the package that has it, "
                "or check the name before the colon"
            )
            raise ConfigurationError(fault) from error
        fault = (
            f"{entry}: module {module_name!r} needs {error.name!r}, which is not installed; "
            "install it"
        )
        raise ConfigurationError(fault) from error
    except ImportError as error:
        fault = f"{entry}: module {module_name!r} is there but fails to import: {error}"
        raise ConfigurationError(fault) from error


def _is_part(missing: str, module_name: str) -> bool:
    return module_name == missing or module_name.startswith(f"{missing}.")
