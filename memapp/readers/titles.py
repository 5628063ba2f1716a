"""What readers make of titles."""

MAX_TITLE = 200
"""Characters of a title that are kept."""


def clean_title(raw: str) -> str:
    """Return a title as one line of bounded length."""
    return " ".join(raw[: 4 * MAX_TITLE].split())[:MAX_TITLE].rstrip()
