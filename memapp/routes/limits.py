"""How large requests may be; every number is a setting, and every refusal names it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import current_app

_EXTENSION = "memapp.limits"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one app, by the names of their settings.

    Attributes:
        MAX_BODY_BYTES: Of a JSON body.
        MAX_UPLOAD_BYTES: Of a multipart body, all its parts together.
        MAX_TEXT_CHARACTERS: Of one memory, in code points.
        MAX_BATCH_ITEMS: Memories in one batch.
        MAX_QUERY_CHARACTERS: Of a search's question, in code points.
        MAX_ID_CHARACTERS: Of ids and names, in code points.
    """

    MAX_BODY_BYTES: int
    MAX_UPLOAD_BYTES: int
    MAX_TEXT_CHARACTERS: int
    MAX_BATCH_ITEMS: int
    MAX_QUERY_CHARACTERS: int
    MAX_ID_CHARACTERS: int

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Limits":
        """Pick the limits out of an app's settings."""
        return cls(**{name: int(settings[name]) for name in cls.__slots__})


def install(extensions: dict[str, Any], limits: Limits) -> None:
    """Give an app its limits."""
    extensions[_EXTENSION] = limits


def limits() -> Limits:
    """Return the limits of the current app."""
    found: Limits = current_app.extensions[_EXTENSION]
    return found
