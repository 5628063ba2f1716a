"""Text that must not be shown by accident."""


class SecretText(str):
    """A secret that is a plain text in every way but one: its `repr` is masked.

    `app.config`, data classes, log records with `%r` and tracebacks with locals show a `repr`;
    none of them gives the secret away. Whoever formats it with `str` means to use it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK if self else "''"


MASK = "'********'"
"""What stands for a secret wherever values are shown; it does not tell the length."""
