"""Rules that look at several settings, or at the environment they are meant for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from memapp.settings import texts
from memapp.settings.declarations import BY_NAME, DECLARED

# What the example files, tutorials and hurried people write.
_EXAMPLE = re.compile(
    r"(.*[^a-z])?(change[-_ ]?(me|it|this)|replace[-_ ]?(me|this)|your[-_ ].*|example|placeholder)"
    r"([^a-z].*)?|secret|token|password|test|dummy|sk-\.*|x+|\.+|<.*>|(memapp|chroma)[-_]?token",
    re.IGNORECASE | re.DOTALL,
)
_EXAMPLE_DIGEST = re.compile(r".*\s(.)\1{63}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Given:
    """The values that are right by themselves, with their sources; one at fault is missing."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]

    def get(self, name: str) -> Any:
        """Return a value, or None if it is at fault itself."""
        return self.values.get(name)

    def named(self, name: str) -> str:
        """Name a setting with its source, and with its value unless that is a secret."""
        shown = "" if BY_NAME[name].secret else f" = {self.values[name]!r}"
        return f"{name}{shown} from {self.sources[name]}"


def faults(given: Given, *, is_production: bool) -> Iterator[str]:
    """Say which rules across settings are broken, and the mend."""
    yield from _overlap(given)
    yield from _required(given)
    yield from _flask(given)
    yield from _token(given)
    yield from _openai(given)
    yield from _keys(given)
    if is_production:
        yield from _examples(given)


def worker_fault(given: Given, workers: int, source: str) -> str | None:
    """Say that so many workers cannot share the mode, if that is so."""
    mode = given.get("CHROMA_MODE")
    if workers <= 1 or mode not in {"persistent", "ephemeral"}:
        return None
    harm = (
        "only one process can hold its folders"
        if mode == "persistent"
        else "each worker would have memories of its own"
    )
    return (
        f"{given.named('CHROMA_MODE')}, with {workers} workers ({source}): {harm}; "
        "set CHROMA_MODE=http and run a Chroma server, or run one worker"
    )


def _overlap(given: Given) -> Iterator[str]:
    length, overlap = given.get("CHUNK_CHARACTERS"), given.get("CHUNK_OVERLAP")
    if length is not None and overlap is not None and 2 * overlap > length:
        yield (
            f"{given.named('CHUNK_OVERLAP')}: must be at most half of "
            f"{given.named('CHUNK_CHARACTERS')}; lower the one or raise the other"
        )


def _required(given: Given) -> Iterator[str]:
    needed = {
        "persistent": ("CHROMA_DB_PATH", "CHROMA_PERSIST_DIR"),
        "http": ("CHROMA_TENANT", "CHROMA_DATABASE"),
        "cloud": ("CHROMA_API_KEY",),
    }
    for name in needed.get(str(given.get("CHROMA_MODE")), ()):
        if given.get(name) == "":
            yield _missing(given, name, because_of="CHROMA_MODE")


def _missing(given: Given, name: str, *, because_of: str) -> str:
    home = ".secrets.toml" if BY_NAME[name].secret else "settings.toml"
    return (
        f"{name}: is required with {given.named(because_of)}; set the environment variable "
        f"{BY_NAME[name].variables[0]}, or put it into {home}"
    )


def _flask(given: Given) -> Iterator[str]:
    for name in given.get("FLASK") or ():
        if name in BY_NAME:
            yield (
                f"{given.named('FLASK')}: holds {name}, a setting of memapp's own; "
                "write it beside the table"
            )
        elif not name.isupper():
            yield (
                f"{given.named('FLASK')}: holds {name!r}, but Flask reads upper-case names only; "
                "write it in capitals"
            )


def _token(given: Given) -> Iterator[str]:
    # Elsewhere the token is not sent, and any text may stay what it is.
    token = given.get("CHROMA_AUTH_TOKEN")
    if given.get("CHROMA_MODE") == "http" and token and (fault := texts.token(token)):
        yield f"{given.named('CHROMA_AUTH_TOKEN')}: {fault}"


def _openai(given: Given) -> Iterator[str]:
    if given.get("EMBEDDER") != "openai":
        return
    if given.get("OPENAI_MODEL") == "":
        yield _missing(given, "OPENAI_MODEL", because_of="EMBEDDER")
    host = urlsplit(given.get("OPENAI_BASE_URL") or "").hostname
    if host == "api.openai.com" and given.get("OPENAI_API_KEY") == "":
        yield _missing(given, "OPENAI_API_KEY", because_of="EMBEDDER")


def _keys(given: Given) -> Iterator[str]:
    if given.get("AUTH") == "keys" and given.get("API_KEYS") == ():
        yield (
            f"API_KEYS: is required with {given.named('AUTH')}; make a key with "
            "'memapp keys new --tenant NAME' and paste the line it prints, or write out "
            'AUTH = "off" if everyone may do everything'
        )


def _examples(given: Given) -> Iterator[str]:
    for setting in DECLARED:
        value = given.get(setting.name)
        if isinstance(value, str) and setting.secret and _EXAMPLE.fullmatch(value):
            yield (
                f"{given.named(setting.name)}: still holds an example; production needs one of "
                "its own, for instance from 'openssl rand -hex 32'"
            )
    for position, entry in enumerate(given.get("API_KEYS") or (), start=1):
        if _EXAMPLE_DIGEST.fullmatch(entry):
            yield (
                f"{given.named('API_KEYS')}: entry {position} still holds an example; make a key "
                "with 'memapp keys new --tenant NAME' and paste the line it prints"
            )
