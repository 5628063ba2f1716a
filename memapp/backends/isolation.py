"""Chroma's own settings, kept apart from the process they run in."""

from typing import Any

from chromadb.config import Settings

from memapp.chroma_import import NO_SUCH_PREFIX


class IsolatedSettings(Settings):
    """Chroma's settings with what we pass, and nothing else.

    Left alone they also read `CHROMA_SERVER_*` and other variables, and `./.env` of the working
    directory, and refuse to work when those contradict our arguments.
    """

    def __init__(self, **values: Any) -> None:
        super().__init__(
            _env_file=None,  # type: ignore[call-arg]
            _env_prefix=NO_SUCH_PREFIX,
            anonymized_telemetry=False,
            **values,
        )

    def __repr__(self) -> str:
        # The parent's shows the token.
        return "IsolatedSettings(...)"

    __str__ = __repr__
