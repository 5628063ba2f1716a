"""Which embedder a collection was written with; mixing two gives plausible nonsense."""

from collections.abc import Mapping
from typing import Any

from memapp.errors import EmbedderMismatch
from memapp.records import EmbedderIdentity

KEY = "embedder"


def identity_metadata(identity: EmbedderIdentity) -> dict[str, str]:
    """Return what a collection's metadata says of its embedder."""
    return {KEY: str(identity)}


def check_identity(name: str, metadata: Mapping[str, Any], identity: EmbedderIdentity) -> None:
    """Refuse a collection that was written with another embedder.

    Raises:
        EmbedderMismatch: naming both and the command that re-embeds.
    """
    written = metadata.get(KEY)
    if written != str(identity):
        message = (
            f"the collection {name!r} was written with the embedder {written or 'unknown'}, but "
            f"{identity} is configured; go back to that embedder, or stop the app and run "
            "'memapp reembed' to compute all vectors anew"
        )
        raise EmbedderMismatch(message)
