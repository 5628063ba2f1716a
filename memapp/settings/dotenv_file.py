r"""Read `.env` without exporting it, so that two apps in one process never share values.

Syntax of python-dotenv: `NAME='kept byte for byte'`, `NAME="with \n escapes"`, `NAME=bare`, where
a bare value loses blanks around it and ` # comments`. `${NAME}` is not expanded: text stays text.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

NAME = ".env"


@dataclass(frozen=True, slots=True)
class DotenvFile:
    """What `.env` says.

    Attributes:
        values: By variable, byte for byte.
        expanded: The same as a reader that expands `${NAME}` sees it; `flask run` is one, and
            exports what it sees.
        faults: Lines that cannot be read.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    expanded: Mapping[str, str | None] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def read(root: Path) -> DotenvFile:
    """Read the `.env` of an app's root, and no other; no file says nothing."""
    path = root / NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return DotenvFile()
    except OSError as error:
        return DotenvFile(faults=(f"{path}: cannot be read: {error.strerror}; mend its rights",))
    except UnicodeDecodeError as error:
        return DotenvFile(faults=(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8",))
    values: dict[str, str] = {}
    faults = list(_parse(text, path, values))
    expanded = dotenv_values(stream=io.StringIO(text), interpolate=True) if values else {}
    return DotenvFile(values, expanded, tuple(faults))


def _parse(text: str, path: Path, values: dict[str, str]) -> Iterator[str]:
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            yield f"{path} line {binding.original.line}: cannot be read; write NAME=value"
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
