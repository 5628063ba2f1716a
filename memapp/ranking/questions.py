"""Tell how much of what was said only asks: a turn that asks seldom holds the answer."""

import re

_QUESTION_MARK = re.compile("[?\uff1f\u061f]")
_OTHER_ENDS = (".", "!", "\u3002", "\uff01")


def asking_share(text: str) -> float:
    """Return the share of a text's characters that stand in questions, 0 to 1."""
    if "?" not in text and (text.isascii() or not _QUESTION_MARK.search(text)):
        return 0.0
    # A question begins where the last sentence ended, and its mark belongs to it.
    *before_marks, _ = _QUESTION_MARK.split(text)
    asking = sum(len(part) - max(map(part.rfind, _OTHER_ENDS)) for part in before_marks)
    return float(asking / len(text))
