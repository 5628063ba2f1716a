"""Tell how much of what was said only asks: a turn that asks seldom holds the answer."""

import re

_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f\u061f]+[.!?\u3002\uff01\uff1f\u061f]*")
_QUESTION_MARK = re.compile(r"[?\uff1f\u061f]")


def asking_share(text: str) -> float:
    """Return the share of a text's characters that stand in questions, 0 to 1."""
    if not _QUESTION_MARK.search(text):
        return 0.0
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text)]
    asking = sum(len(s) for s in sentences if _QUESTION_MARK.search(s[-1:]))
    return asking / max(1, sum(map(len, sentences)))
