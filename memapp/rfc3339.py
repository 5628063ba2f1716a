"""Times as RFC 3339 writes them; the API takes any offset and answers in UTC."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_SHAPE = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)

_WITHOUT_OFFSET = len("2026-01-31T12:00:00.000000")


def parse(text: str) -> datetime:
    """Read a time with its offset; digits beyond microseconds are cut off.

    Raises:
        ValueError: not an RFC 3339 time, or one that falls outside the years 1 to 9999 in UTC.
    """
    if not _SHAPE.fullmatch(text):
        message = "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z"
        raise ValueError(message)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = "must be a time that exists, in the years 1 to 9999 (UTC)"
        raise ValueError(message) from error


@lru_cache(maxsize=16_384)
def write(moment: datetime) -> str:
    """Write an aware time in UTC with microseconds and `Z`; thus texts sort as times do."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")[:_WITHOUT_OFFSET] + "Z"
