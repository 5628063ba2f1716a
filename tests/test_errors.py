"""Errors are the same in whichever process they arrive."""

import pickle

import pytest

from memapp.errors import (
    ConfigurationError,
    Conflict,
    FieldError,
    InvalidInput,
    MemappError,
    StoreBroken,
    again,
)

ERRORS = [
    ConfigurationError("THIS: is wrong", "THAT: is wrong, too"),
    InvalidInput([FieldError("/text", "is too long"), FieldError("?limit", "is no number")]),
    Conflict("is being changed", code="concurrent_change"),
    StoreBroken("answered with an internal error"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_that_was_sent_or_copied_says_the_same(error: MemappError) -> None:
    sent = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    for copy in (sent, again(error)):
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)
