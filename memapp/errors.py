"""Every error memapp raises on purpose, as one tree.

MemappError
 ├── ConfigurationError        the app must not start; lists every fault
 ├── InvalidInput              the caller sent something that breaks a rule
 ├── NotFound                  there is no such thing for this tenant
 ├── Conflict                  the request contradicts what is stored
 ├── EmbedderMismatch          the store was written with another embedder
 ├── EmbedderUnavailable       the embedder cannot answer now
 └── StoreUnavailable          Chroma cannot answer now
      ├── StoreTimeout         Chroma took longer than the configured time
      ├── StoreRefused         Chroma refuses our token
      └── StoreBroken          Chroma answered, but with a fault of its own

Services raise them; `routes/problems.py` alone turns them into HTTP answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


class MemappError(Exception):
    """Base of all errors raised on purpose by memapp."""


class ConfigurationError(MemappError):
    """The configuration breaks at least one rule; the app must not start.

    Attributes:
        faults: One line each: the setting, its source, the rule and the mend. Never a secret.
    """

    def __init__(self, *faults: str) -> None:
        """Collect all faults, so that the user mends them in one go."""
        self.faults = faults
        super().__init__("\n".join(["invalid configuration:", *(f"  - {f}" for f in faults)]))

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:
        """Cross from one process to another; by itself an exception is made from its message."""
        return type(self), self.faults


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field.

    Attributes:
        pointer: JSON pointer (RFC 6901) to the field, or `?name` for a query parameter.
        detail: The rule and the mend; never the offending value.
    """

    pointer: str
    detail: str


class InvalidInput(MemappError):
    """The caller sent something that breaks a rule.

    Attributes:
        errors: One entry per field at fault.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        """Keep the faults in the order in which they were found."""
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{e.pointer}: {e.detail}" for e in self.errors))

    def __reduce__(self) -> tuple[type, tuple[tuple[FieldError, ...]]]:
        """Cross from one process to another; see `ConfigurationError`."""
        return type(self), (self.errors,)


class NotFound(MemappError):
    """There is no such memory, document or collection for this tenant."""


class Conflict(MemappError):
    """The request contradicts what is stored.

    Attributes:
        code: Stable snake_case name of the conflict, for programs.
    """

    def __init__(self, message: str, *, code: str = "conflict") -> None:
        """Say what contradicts what, and name it for programs."""
        self.code = code
        super().__init__(message)


class EmbedderMismatch(MemappError):
    """The store was written with another embedder; its vectors cannot be compared with ours."""


class EmbedderUnavailable(MemappError):
    """The embedder cannot answer now; the same request may succeed later."""


class StoreUnavailable(MemappError):
    """Chroma cannot answer now; the same request may succeed later."""


class StoreTimeout(StoreUnavailable):
    """Chroma took longer than the configured time; whether a write was applied is unknown."""


class StoreRefused(StoreUnavailable):
    """Chroma, or the gate in front of it, refuses memapp's token."""


class StoreBroken(StoreUnavailable):
    """Chroma answered with a fault of its own, for instance a damaged index."""


def again(error: E) -> E:
    """Return a fresh copy: one error raised in many threads would mix their tracebacks."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    return copy
