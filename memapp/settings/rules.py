"""Rules that look at several settings, or at the environment they are meant for."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from memapp.settings import texts
from memapp.settings.declarations import BY_NAME, DECLARED

Values = Mapping[str, Any]
"""The values that are right by themselves; a setting at fault is missing."""

# What the example files, tutorials and hurried people write.
_EXAMPLE = re.compile(
    r"(.*[^a-z])?(change[-_ ]?(me|it|this)|replace[-_ ]?(me|this)|your[-_ ].*|example|placeholder)"
    r"([^a-z].*)?|secret|token|password|test|dummy|sk-\.*|x+|\.+|<.*>|(memapp|chroma)[-_]?token",
    re.IGNORECASE | re.DOTALL,
)
_EXAMPLE_DIGEST = re.compile(r".*\s(.)\1{63}", re.DOTALL)


def faults(values: Values, *, is_production: bool) -> Iterator[str]:
    """Say which rules across settings are broken, and the mend."""
    yield from _overlap(values)
    yield from _required(values)
    yield from _flask(values)
    yield from _token(values)
    yield from _openai(values)
    yield from _keys(values, is_production=is_production)
    if is_production:
        yield from _examples(values)


def worker_fault(values: Values, workers: int, source: str) -> str | None:
    """Say that so many workers cannot share the mode, if that is so."""
    mode = values.get("CHROMA_MODE")
    if workers <= 1 or mode not in {"persistent", "ephemeral"}:
        return None
    harm = (
        "only one process can hold its folders"
        if mode == "persistent"
        else "each worker would have memories of its own"
    )
    return (
        f"CHROMA_MODE = {mode!r} in production with {workers} workers ({source}): {harm}; "
        "set CHROMA_MODE=http and run a Chroma server, or run one worker"
    )


def _overlap(values: Values) -> Iterator[str]:
    length, overlap = values.get("CHUNK_CHARACTERS"), values.get("CHUNK_OVERLAP")
    if length is not None and overlap is not None and overlap >= length:
        yield (
            f"CHUNK_OVERLAP = {overlap}: must be less than CHUNK_CHARACTERS = {length}; "
            "lower the one or raise the other"
        )


def _required(values: Values) -> Iterator[str]:
    mode = values.get("CHROMA_MODE")
    needed = {
        "persistent": ("CHROMA_DB_PATH", "CHROMA_PERSIST_DIR"),
        "http": ("CHROMA_TENANT", "CHROMA_DATABASE"),
        "cloud": ("CHROMA_API_KEY",),
    }
    for name in needed.get(str(mode), ()):
        if values.get(name) == "":
            yield (
                f"{name}: is required with CHROMA_MODE = {mode!r}; set the environment variable "
                f"{name}, or put it into {_home(name)}"
            )


def _home(name: str) -> str:
    return ".secrets.toml" if BY_NAME[name].secret else "settings.toml"


def _flask(values: Values) -> Iterator[str]:
    for name in values.get("FLASK", {}):
        if name in BY_NAME:
            yield f"FLASK: holds {name}, a setting of memapp's own; write it beside the table"
        elif not name.isupper():
            yield f"FLASK: holds {name!r}; Flask reads upper-case names only"


def _token(values: Values) -> Iterator[str]:
    # Elsewhere the token is not sent, and any text may stay what it is.
    token = values.get("CHROMA_AUTH_TOKEN")
    if values.get("CHROMA_MODE") == "http" and token and (fault := texts.token(token)):
        yield f"CHROMA_AUTH_TOKEN: {fault}"


def _openai(values: Values) -> Iterator[str]:
    if values.get("EMBEDDER") != "openai":
        return
    if values.get("OPENAI_MODEL") == "":
        yield (
            "OPENAI_MODEL: is required with EMBEDDER = 'openai'; name the model, "
            "for instance text-embedding-3-small"
        )
    host = urlsplit(values.get("OPENAI_BASE_URL", "")).hostname
    if host == "api.openai.com" and values.get("OPENAI_API_KEY") == "":
        yield (
            "OPENAI_API_KEY: is required with EMBEDDER = 'openai' at api.openai.com; set the "
            "environment variable MEMAPP_OPENAI_API_KEY or put it into .secrets.toml"
        )


def _keys(values: Values, *, is_production: bool) -> Iterator[str]:
    if values.get("AUTH") == "keys" and values.get("API_KEYS") == ():
        yield (
            "API_KEYS: is required with AUTH = 'keys'"
            + (", production's default" if is_production else "")
            + "; make a key with 'memapp keys new --tenant NAME' and paste the line it prints, "
            'or write AUTH = "off" if everyone may do everything'
        )


def _examples(values: Values) -> Iterator[str]:
    for setting in DECLARED:
        value = values.get(setting.name)
        if isinstance(value, str) and setting.secret and _EXAMPLE.fullmatch(value):
            yield (
                f"{setting.name}: still holds an example; production needs one of its own, "
                "for instance from 'openssl rand -hex 32'"
            )
    for position, entry in enumerate(values.get("API_KEYS", ()), start=1):
        if _EXAMPLE_DIGEST.fullmatch(entry):
            yield (
                f"API_KEYS: entry {position} still holds an example; make a key with "
                "'memapp keys new --tenant NAME' and paste the line it prints"
            )
