"""What processes cost, from Linux's /proc: processor time and memory of whole trees."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it and still run."""
    found = [pid]
    for known in found:
        for thread in _listed(Path(f"/proc/{known}/task")):
            children = _read(thread / "children").split()
            found.extend(int(child) for child in children)
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """Return the processor time, user and system, that trees have used so far.

    Children that have ended count once their parent has waited for them.
    """
    ticks = 0
    for pid in {one for root in roots for one in tree(root)}:
        # The name, in parentheses, may hold spaces; after it the fields count from the third.
        fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS


def pss_megabytes(roots: Iterable[int]) -> float:
    """Return the memory of trees, in MB of 1,000,000 bytes; shared pages are split fairly."""
    kilobytes = 0
    for pid in {one for root in roots for one in tree(root)}:
        for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes * 1024 / 1e6


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []


def _read(path: Path) -> str:
    """Return a file of /proc; empty if its process has just ended."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
