"""Memory of processes that are forked."""

import subprocess
import sys
from pathlib import Path

import pytest

_CHILD_COLLECTS = """
import gc, os, sys
from pathlib import Path
from memapp import heap

def private_kilobytes():
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))

objects = [[number] for number in range(400_000)]
if sys.argv[1] == "share":
    heap.share_with_forks()
if os.fork():
    os.wait()
else:
    before = private_kilobytes()
    gc.collect()
    print(private_kilobytes() - before, flush=True)
    os._exit(0)
"""


def _grown(how: str) -> int:
    """Return by how many kB a forked process grows when it collects garbage."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD_COLLECTS, how], capture_output=True, check=True, text=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
def test_collecting_garbage_copies_nothing_of_what_is_shared_with_forks() -> None:
    assert _grown("keep") > 10_000
    assert _grown("share") < 2_000
