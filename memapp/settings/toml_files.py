"""Read settings.toml and .secrets.toml of an app's root into one Dynaconf object.

Dynaconf layers the sections; what it does beyond that is switched off, because each of these was
measured to surprise: its search through parent folders, its own reading of the environment, casts
and `@` expressions, dotted names, and the export of `.env`.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dynaconf import Dynaconf
from dynaconf.loaders import toml_loader
from dynaconf.loaders.base import SourceMetadata

from memapp.settings.declarations import ENVIRONMENTS
from memapp.settings.names import nearest, unknown_in_file

NAMES = ("settings.toml", ".secrets.toml")
"""Lowest precedence first."""

DEFAULT_SECTION = "default"
SECTIONS = (DEFAULT_SECTION, *ENVIRONMENTS)

_FIXED = {
    "ENVIRONMENTS_FOR_DYNACONF": True,
    "DEFAULT_ENV_FOR_DYNACONF": DEFAULT_SECTION,
    "AUTO_CAST_FOR_DYNACONF": False,
    "MERGE_ENABLED_FOR_DYNACONF": False,
    "DOTTED_LOOKUP_FOR_DYNACONF": False,
    "NESTED_SEPARATOR_FOR_DYNACONF": None,
    "INDEX_SEPARATOR_FOR_DYNACONF": None,
}


class Layers:
    """The values of one `load`, later layers above earlier ones."""

    def __init__(self) -> None:
        """Begin without a value."""
        self._dynaconf: Any = Dynaconf(core_loaders=[], loaders=[], load_dotenv=False)
        # Not as arguments: there, variables such as MERGE_ENABLED_FOR_DYNACONF, meant for another
        # program, would win.
        self._dynaconf.update(_FIXED)
        self._sources: dict[str, str] = {}

    def add_file(self, path: Path, *, environment: str) -> None:
        """Put the sections of a TOML file that apply on top."""
        toml_loader.load(self._dynaconf, env=environment, filename=str(path), silent=True)
        for metadata, values in self._dynaconf.loaded_by_loaders.items():
            if metadata.identifier == str(path):
                for name in values:
                    self._sources[name] = f"{path.name} [{metadata.env}]"

    def add(self, name: str, value: object, *, source: str) -> None:
        """Put one value on top."""
        self._dynaconf.set(name, value, loader_identifier=SourceMetadata("memapp", source))
        self._sources[name] = source

    def __contains__(self, name: str) -> bool:
        return name in self._sources

    def value(self, name: str) -> object:
        """Return what the topmost layer gives, in plain Python types."""
        return _plain(self._dynaconf.get(name))

    def source(self, name: str) -> str:
        """Say which layer gave the value."""
        return self._sources[name]


def faults_in(path: Path) -> tuple[Sequence[str], bool]:
    """Say what is wrong with a settings file apart from its values, and whether to load it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return (), False
    except OSError as error:
        return (f"{path}: cannot be read: {error.strerror}; mend its rights or remove it",), False
    except UnicodeDecodeError as error:
        return (f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8",), False
    except tomllib.TOMLDecodeError as error:
        return (f"{path}: is not TOML: {error}; texts need quotes",), False
    return tuple(_structure_faults(document, path)), True


def _structure_faults(document: Mapping[str, object], path: Path) -> Iterator[str]:
    for section, content in document.items():
        if not isinstance(content, Mapping):
            yield f"{path.name}: {section} stands outside a section; move it under [default]"
        elif section.lower() not in SECTIONS:
            hint = nearest(section.lower(), SECTIONS)
            yield (
                f"{path.name}: there is no section [{section}], only "
                f"{', '.join(f'[{known}]' for known in SECTIONS)}"
                + (f"; did you mean [{hint}]?" if hint else "")
            )
        else:
            yield from unknown_in_file(content, f"{path.name} [{section}]")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(value[name]) for name in value}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
