"""Keep what nobody filters by in one metadata key, and times that are equal in one, too.

Chroma 1.5.9 takes its metadata apart: each key is a row of its own in SQLite, with an index, and
comes back as a row of its own, handed from thread to thread. And until a collection is saved, each
write reads all its unsaved records again, key by key. Measured, adding one record to 2,000: 24 ms
of Chroma's processor time with nine keys, 16 with three; asking for the ten nearest of 2,000, with
all of their metadata: 3.4 ms with five keys, 3.0 with three.
"""

from collections.abc import Mapping
from typing import Any

import orjson

KEY = "bundle"

TIMES = ("created", "updated", "occurred")
"""A memory's times; those who filter by one of them ask for it under `MOMENT`, too."""

MOMENT = "moment"
"""Stands for all `TIMES`: of a memory that was never changed, and happened when it was stored."""

_OF_MEMORIES = frozenset({"version", "digest", "token", "timed", "claim", "metadata"})
_OF_CHANGES = frozenset({"writer", "number", "token", "memories", "at", "awaited"})


def bundled(fields: Mapping[str, Any], *, replaces: bool = False) -> Mapping[str, Any]:
    """Return the metadata of one record as Chroma is to keep it.

    Only memories and changes are bundled, the two kinds that every addition writes.

    Args:
        fields: The metadata. None, which removes a key from what is there, may stand for keys
            outside the bundle; inside it is left out.
        replaces: Remove what a record that is there may have in the place of this.
    """
    if "scope" in fields:
        names = _OF_MEMORIES
        fields = _with_one_time(fields, replaces=replaces)
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
    outside = {name: value for name, value in fields.items() if name != KEY}
    if MOMENT in outside:
        outside |= dict.fromkeys(TIMES, outside.pop(MOMENT))
    return {**outside, **orjson.loads(bundle)}


def _with_one_time(fields: Mapping[str, Any], *, replaces: bool) -> Mapping[str, Any]:
    times = {fields.get(name) for name in TIMES}
    if None in times:
        return fields
    if len(times) > 1:
        return {**fields, MOMENT: None} if replaces else fields
    others = {name: value for name, value in fields.items() if name not in TIMES}
    return {**others, **(dict.fromkeys(TIMES) if replaces else {}), MOMENT: times.pop()}
