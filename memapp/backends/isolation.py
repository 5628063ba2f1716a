"""Chroma's own settings, kept apart from the process they run in."""

from typing import Any

from chromadb.config import Settings
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


class IsolatedSettings(Settings):
    """Chroma's settings with what we pass, and nothing else.

    The parent class also reads `CHROMA_SERVER_*` and other variables of the environment and
    `./.env` of the working directory, and refuses to start when they contradict our arguments.
    """

    def __init__(self, **values: Any) -> None:
        super().__init__(anonymized_telemetry=False, **values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the constructor's arguments only."""
        return (init_settings,)
