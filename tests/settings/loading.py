"""Load settings as the tests do: from a folder, with an environment of their own."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from memapp.errors import ConfigurationError
from memapp.settings import load

KEY_ENTRY = f"acme all {'0123456789abcdef' * 4}"


def faults(
    root: Path, environ: Mapping[str, str] | None = None, **overrides: object
) -> tuple[str, ...]:
    """Return what `load` complains about; fail if it does not complain."""
    with pytest.raises(ConfigurationError) as caught:
        load(root, overrides, environ or {})
    return caught.value.faults


def only_fault(root: Path, environ: Mapping[str, str] | None = None, **overrides: object) -> str:
    """Return the one thing that `load` complains about."""
    found = faults(root, environ, **overrides)
    assert len(found) == 1, found
    return found[0]
