"""How much text a file may become, so that a small hostile one cannot fill the memory."""

import re
from collections.abc import Iterable

from memapp.readers.decoding import unreadable

MAX_CHARACTERS = 50_000_000
"""Characters of text that a file may become; as much as the largest upload of plain text."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def joined(parts: Iterable[str], *, most: int = MAX_CHARACTERS) -> str:
    """Join parts of a text; characters that no text file can hold become U+FFFD.

    Raises:
        InvalidInput: they are more than `most` characters; pointer `/file`.
    """
    kept: list[str] = []
    length = 0
    for part in parts:
        length += len(part)
        if length > most:
            detail = f"becomes more than {most:,} characters of text; split it into several files"
            raise unreadable(detail)
        kept.append(part)
    return _UNSTORABLE.sub("\ufffd", "".join(kept))
