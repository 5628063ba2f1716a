"""Tell how much of what was said only asks: a turn that asks seldom holds the answer."""

# Sentence ends of Chinese, Japanese and Arabic, as the ones looked for.
_EQUAL = (("\uff1f", "?"), ("\u061f", "?"), ("\u3002", "."), ("\uff01", "!"))


def asking_share(text: str) -> float:
    """Return the share of a text's characters that stand in questions, 0 to 1."""
    if not text.isascii():
        for other, ours in _EQUAL:
            text = text.replace(other, ours)
    if "?" not in text:
        return 0.0
    # A question begins where the last sentence ended, and its mark belongs to it.
    *before_marks, _ = text.split("?")
    asking = sum(len(part) - max(part.rfind("."), part.rfind("!")) for part in before_marks)
    return asking / len(text)
