"""Keep what nobody filters by in one metadata key.

Chroma 1.5.9 takes its metadata apart: each key is a row of its own in SQLite, with an index, and
comes back as a row of its own, handed from thread to thread. And until a collection is saved, each
write reads all its unsaved records again, key by key. Measured, adding one record to 2,000: 24 ms
of Chroma's processor time with nine keys, 16 with three.

Records written before this was done have all their keys side by side; they are read as ever.
"""

from collections.abc import Mapping
from typing import Any

import orjson

KEY = "bundle"

_OF_MEMORIES = frozenset({"version", "digest", "token", "timed", "claim", "metadata"})
_OF_CHANGES = frozenset({"writer", "number", "token", "memories", "at", "awaited"})
_ALL = _OF_MEMORIES | _OF_CHANGES


def bundled(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata of one record as Chroma is to keep it.

    Only memories and changes are bundled, the two kinds that every addition writes. None, which
    removes a key from what is there, may stand for keys outside the bundle; inside it is left out.
    """
    if "scope" in fields:
        names = _OF_MEMORIES
    elif fields.get("kind") == "change":
        names = _OF_CHANGES
    else:
        return fields
    inside = {name: fields[name] for name in names if fields.get(name) is not None}
    outside = {name: value for name, value in fields.items() if name not in names}
    return {**outside, KEY: orjson.dumps(inside).decode()}


def unbundled(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metadata of one record as it was before `bundled`."""
    bundle = fields.get(KEY)
    if bundle is None:
        return fields
    # What the bundle does not hold is gone, though an update may have left it beside it.
    outside = {name: value for name, value in fields.items() if name != KEY and name not in _ALL}
    return {**outside, **orjson.loads(bundle)}
