"""Import chromadb, whatever lies in the environment and in the working directory."""

import importlib
import sys
from typing import Any

from pydantic_settings import BaseSettings

NO_SUCH_PREFIX = "memapp-reads-no-variables-"


def import_chroma() -> None:
    """Import chromadb for the first time in this process; later calls do nothing.

    chromadb reads its settings while it is imported, from variables such as `CHROMA_SERVER_HOST`
    and from `./.env`, and cannot be imported at all where one of them is no valid value for it:
    `CHROMA_SERVER_CORS_ALLOW_ORIGINS=*` of an old compose file is enough.
    """
    if "chromadb" in sys.modules:
        return
    original = BaseSettings.__init__

    def shielded(settings: BaseSettings, **values: Any) -> None:
        original(settings, _env_file=None, _env_prefix=NO_SUCH_PREFIX, **values)

    BaseSettings.__init__ = shielded  # type: ignore[assignment,method-assign]
    try:
        importlib.import_module("chromadb")
    finally:
        BaseSettings.__init__ = original  # type: ignore[method-assign]
