"""Chroma's own settings, kept apart from the process they run in."""

from typing import Any

from chromadb.config import Settings

from memapp.chroma_import import NO_SUCH_PREFIX


def isolated_settings(**values: Any) -> Settings:
    """Return Chroma's settings with what we pass, and nothing else.

    Left alone they also read `CHROMA_SERVER_*` and other variables, and `./.env` of the working
    directory, and refuse to work when those contradict our arguments.
    """
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        _env_prefix=NO_SUCH_PREFIX,
        anonymized_telemetry=False,
        **values,
    )
