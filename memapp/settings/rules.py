"""Rules that look at several settings, or at the environment they are meant for."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from memapp.settings import texts
from memapp.settings.declarations import DECLARED

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
    yield from _folders(values)
    yield from _cloud(values)
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


def _folders(values: Values) -> Iterator[str]:
    memories, documents = values.get("CHROMA_DB_PATH"), values.get("CHROMA_PERSIST_DIR")
    if values.get("CHROMA_MODE") != "persistent":
        return
    for name, folder in (("CHROMA_DB_PATH", memories), ("CHROMA_PERSIST_DIR", documents)):
        if folder == "":
            yield f"{name}: is required in persistent mode; name a folder"
    if memories and memories == documents:
        yield (
            "CHROMA_DB_PATH and CHROMA_PERSIST_DIR: must be two folders, because each holds one "
            "locked store; change one of them"
        )


def _cloud(values: Values) -> Iterator[str]:
    if values.get("CHROMA_MODE") == "cloud" and values.get("CHROMA_API_KEY") == "":
        yield (
            "CHROMA_API_KEY: is required in cloud mode; set the environment variable "
            "CHROMA_API_KEY or put it into .secrets.toml"
        )


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
        if setting.secret and any(_is_example(text) for text in _texts(values.get(setting.name))):
            yield (
                f"{setting.name}: still holds an example; production needs a secret of its own, "
                "for instance from 'openssl rand -hex 32' or 'memapp keys new'"
            )


def _is_example(text: str) -> bool:
    return bool(_EXAMPLE.fullmatch(text) or _EXAMPLE_DIGEST.fullmatch(text))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from _texts(entry)
