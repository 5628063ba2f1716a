"""Run Python where nothing was imported before."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def printed(
    script: str, *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a script to its end, without a fault, and return what it printed.

    Args:
        script: The script.
        folder: Where; by default here.
        environment: All that is in its environment; by default what is in ours.
    """
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    return done.stdout.strip()
