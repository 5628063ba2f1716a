"""The kinds of values a setting may have, and how each is read from text or TOML.

A value reaches a kind as text (from the environment, or a text in TOML), as what TOML makes of it,
or as a Python value (arguments of `create_app`). The declared kind decides what it becomes, never
its look: the text `1e5` stays that text where text is declared, and is no whole number.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from memapp.plugins import PLUGIN_FORM, is_plugin_path


class Rejected(ValueError):
    """A value breaks its setting's rule; the message is the rule and the mend, not the value."""


class Kind(Protocol):
    """How the values of a setting look."""

    @property
    def rule(self) -> str:
        """What a value must be, to follow the words "must be"."""
        ...

    def parse(self, raw: object) -> object:
        """Turn what a source gave into the setting's value.

        Raises:
            Rejected: it is no value of this kind.
        """
        ...


Check = Callable[[str], str | None]
"""Return the rule that a text breaks with its mend, never the text itself; None if all is well."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text, kept byte for byte; empty means not set.

    Attributes:
        rule: What it must be.
        check: A further rule for texts that are not empty.
        is_required: Whether it must not be empty.
    """

    rule: str = "text"
    check: Check | None = None
    is_required: bool = False

    def parse(self, raw: object) -> str:
        """Turn what a source gave into the setting's value."""
        text = _text(raw)
        if self.is_required and not text:
            raise Rejected(_must_be(f"{self.rule}, not empty"))
        if text and self.check and (fault := self.check(text)):
            raise Rejected(fault)
        return text


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path, `~` expanded; relative ones are later resolved against the app's root."""

    rule: str = "a path, relative to the app's root or absolute"

    def parse(self, raw: object) -> str:
        """Turn what a source gave into the setting's value."""
        text = _text(os.fspath(raw) if isinstance(raw, os.PathLike) else raw)
        if "\0" in text:
            raise Rejected(_must_be(f"{self.rule}, without NUL characters"))
        try:
            return str(Path(text).expanduser()) if text.startswith("~") else text
        except RuntimeError:
            fault = "begins with '~', but there is no such home folder; write the path out"
            raise Rejected(fault) from None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    @property
    def rule(self) -> str:
        """What a value must be."""
        return f"a whole number from {self.low} to {self.high}"

    def parse(self, raw: object) -> int:
        """Turn what a source gave into the setting's value."""
        if isinstance(raw, str):
            _refuse_service_link(raw, self.rule)
            number = int(raw) if re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", raw) else None
        else:
            number = raw if isinstance(raw, int) and not isinstance(raw, bool) else None
        if number is None or not self.low <= number <= self.high:
            raise Rejected(_must_be(self.rule))
        return number


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number from `low` to `high`, in `unit`."""

    low: float
    high: float
    unit: str = ""

    @property
    def rule(self) -> str:
        """What a value must be."""
        return f"a number from {self.low:g} to {self.high:g}{f' ({self.unit})' * bool(self.unit)}"

    def parse(self, raw: object) -> float:
        """Turn what a source gave into the setting's value."""
        number = _float(raw)
        # Not a number is not within any range either.
        if number is None or not self.low <= number <= self.high:
            raise Rejected(_must_be(self.rule))
        return number


_TRUTHS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class Truth:
    """True or false; as text also yes/no, on/off, 1/0, in any case."""

    rule: str = "true or false"

    def parse(self, raw: object) -> bool:
        """Turn what a source gave into the setting's value."""
        if isinstance(raw, bool):
            return raw
        truth = _TRUTHS.get(raw.strip().lower()) if isinstance(raw, str) else None
        if truth is None:
            raise Rejected(_must_be(self.rule))
        return truth


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few names, or a plug-in where `or_plugin`."""

    names: tuple[str, ...]
    or_plugin: bool = False

    @property
    def rule(self) -> str:
        """What a value must be."""
        *others, last = [*map(repr, self.names), *([repr(PLUGIN_FORM)] * self.or_plugin)]
        return f"{', '.join(others)} or {last}"

    def parse(self, raw: object) -> str:
        """Turn what a source gave into the setting's value."""
        text = _text(raw)
        if text in self.names or (self.or_plugin and is_plugin_path(text)):
            return text
        near = get_close_matches(text.lower(), [name.lower() for name in self.names], n=1)
        hint = next((name for name in self.names if near and name.lower() == near[0]), None)
        raise Rejected(f"must be {self.rule}" + (f"; did you mean {hint!r}?" if hint else ""))


@dataclass(frozen=True, slots=True)
class Names:
    """A list of texts, kept as a tuple.

    A text that begins with `[` is read as a JSON or TOML list; any other text is split at every
    `separator` or new line, and blank entries are dropped.

    Attributes:
        rule: What it must be.
        separator: What parts the entries of a text.
        check: Say what is wrong with the whole list, or yield nothing.
    """

    rule: str = "a list of texts"
    separator: str = ","
    check: Callable[[Sequence[str]], Sequence[str]] | None = None

    def parse(self, raw: object) -> tuple[str, ...]:
        """Turn what a source gave into the setting's value."""
        entries = self._entries(raw)
        if self.check and (faults := self.check(entries)):
            raise Rejected("; ".join(faults))
        return entries

    def _entries(self, raw: object) -> tuple[str, ...]:
        if isinstance(raw, str):
            if raw.lstrip().startswith("["):
                raw = _structure(raw, self.rule)
            else:
                parts = raw.replace("\n", self.separator).split(self.separator)
                return tuple(part.strip() for part in parts if part.strip())
        if not isinstance(raw, Sequence) or not all(isinstance(entry, str) for entry in raw):
            raise Rejected(_must_be(self.rule))
        return tuple(raw)


@dataclass(frozen=True, slots=True)
class Table:
    """Names with values; as text a JSON object or a TOML inline table, beginning with `{`.

    Attributes:
        rule: What it must be.
        check: Say what is wrong with the whole table, or None.
    """

    rule: str = "a table"
    check: Callable[[Mapping[str, object]], str | None] | None = None

    def parse(self, raw: object) -> Mapping[str, object]:
        """Turn what a source gave into the setting's value."""
        if isinstance(raw, str):
            if not raw.strip():
                return {}
            raw = _structure(raw, self.rule)
        if not isinstance(raw, Mapping) or not all(isinstance(name, str) for name in raw):
            raise Rejected(_must_be(self.rule))
        if self.check and (fault := self.check(raw)):
            raise Rejected(fault)
        return dict(raw)


def _must_be(rule: str) -> str:
    return f"must be {rule}"


def _float(raw: object) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float) or "_" in str(raw):
        return None
    try:
        return float(raw)
    except (ValueError, OverflowError):
        return None


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        fault = "must be text; put it in quotes"
        raise Rejected(fault)
    return raw


def _refuse_service_link(raw: str, rule: str) -> None:
    """Name Kubernetes' service links, which set exactly such variables.

    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    if re.match(r"(tcp|udp|sctp)://", raw):
        fault = (
            f"must be {rule}; Kubernetes sets this variable for a service of that name (service "
            "links): set 'enableServiceLinks: false' in the pod's spec, or rename the service"
        )
        raise Rejected(fault)


def _structure(raw: str, rule: str) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        pass
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        # No chain: the parsers' errors carry the text, which may be a secret.
        raise Rejected(_must_be(f"{rule}, written as JSON or TOML")) from None
