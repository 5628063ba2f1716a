"""The settings of one app: frozen, and silent about secrets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from memapp.settings.declarations import BY_NAME, MODES
from memapp.settings.secret import MASK

DEFAULT_SOURCE = "default"

_UNPROVEN = (
    "EMBEDDER",
    "EMBEDDER_MODEL_PATH",
    "EMBEDDER_MODEL_SHA256",
    "READERS",
    "EXTENSIONS",
    "BLUEPRINTS",
    "METRICS",
)


@dataclass(frozen=True, slots=True, eq=False)
class Settings(Mapping[str, Any]):
    """Every declared setting with its value; lists are tuples, tables are read-only.

    Attributes:
        environment: `development` or `production`.
        root: The app's root, absolute; files and relative paths are found from it.
    """

    environment: str
    root: Path
    _values: Mapping[str, Any] = field(repr=False)
    _sources: Mapping[str, str] = field(repr=False)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def needs_proof(self) -> bool:
        """Whether anything is named that may be missing or wrong; the defaults need no proof."""
        is_ours = self["CHROMA_MODE"] in MODES
        return not is_ours or any(self[name] != BY_NAME[name].default for name in _UNPROVEN)

    def source(self, name: str) -> str:
        """Say where a value came from, for people."""
        return self._sources[name]

    def shown(self, name: str) -> str:
        """Return a value as people may see it, a secret masked."""
        value = self._values[name]
        if BY_NAME[name].secret:
            return MASK if value else ""
        text = ", ".join(value) if isinstance(value, tuple) else str(value)
        return text if text.isprintable() else repr(text)

    def as_dict(self) -> dict[str, Any]:
        """Return a copy for `app.config`: plain lists and dicts, the table FLASK spread out.

        Secrets are in it, as texts whose `repr` is masked.
        """
        values = {name: _thawed(value) for name, value in self._values.items()}
        return {**values.pop("FLASK"), **values}


def frozen(value: object) -> object:
    """Return a value that nobody can change, and equal to the one given."""
    if isinstance(value, Mapping):
        return MappingProxyType({name: frozen(entry) for name, entry in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(entry) for entry in value)
    return value


def _thawed(value: object) -> Any:
    if isinstance(value, Mapping):
        return {name: _thawed(entry) for name, entry in value.items()}
    if isinstance(value, tuple):
        return [_thawed(entry) for entry in value]
    return value
