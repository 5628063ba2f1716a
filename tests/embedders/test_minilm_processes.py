"""The default embedder under forks, threads and without a network, each in a new process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEADLINE = 60

MAKE = """
import os, sys
from memapp.embedders import minilm
from memapp.settings import DECLARED

embedder = minilm.create({setting.name: setting.default for setting in DECLARED})
"""

FORK_AND_LEAVE = """
children = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        vector = embedder.embed_query("Where does Maria live?")
        os.write(1, (vector.tobytes().hex() + "\\n").encode())
        sys.exit(0)
    children.append(pid)
for pid in children:
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""


def run(program: str, home: Path) -> str:
    """Run a program as a user would, without CI, and return what it printed.

    onnxruntime sends no telemetry, and so does not hang, when CI is set.
    """
    hidden = {"CI", "ORT_DISABLE_TELEMETRY", "TOKENIZERS_PARALLELISM"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=DEADLINE)
    finally:
        # The children too, if they hang.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, errors
    return output


def test_children_of_a_process_that_only_imported_embed_and_leave(tmp_path: Path) -> None:
    output = run(MAKE + "import onnxruntime\n" + FORK_AND_LEAVE, tmp_path)

    lines = output.splitlines()
    assert len(lines) == 4
    assert len(set(lines)) == 1


def test_children_of_a_process_that_has_embedded_embed_and_leave(tmp_path: Path) -> None:
    embed_first = "embedder.embed_documents(['first', 'second'])\n"

    output = run(MAKE + embed_first + FORK_AND_LEAVE, tmp_path)

    lines = output.splitlines()
    assert len(lines) == 4
    assert len(set(lines)) == 1


def test_a_child_makes_its_own_session(tmp_path: Path) -> None:
    program = """
from memapp.embedders.minilm import embedder as module

class Network(module.Network):
    def __init__(self, model):
        super().__init__(model)
        print("loaded in", os.getpid(), flush=True)

module.Network = Network
embedder.embed_query("first")
embedder.embed_query("second")
pid = os.fork()
embedder.embed_query("third")
if pid:
    os.waitpid(pid, 0)
"""

    lines = run(MAKE + program, tmp_path).splitlines()

    assert len(lines) == 2
    assert len(set(lines)) == 2


def test_it_needs_no_network(tmp_path: Path) -> None:
    forbid = """
import socket

def refuse(*args, **kwargs):
    raise AssertionError("the network was used")

socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
"""

    output = run(forbid + MAKE + "print(embedder.embed_query('offline').shape)", tmp_path)

    assert output == "(384,)\n"


def test_it_leaves_nothing_in_the_users_home(tmp_path: Path) -> None:
    run(MAKE + "embedder.embed_query('anything')", tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_embedding_starts_no_threads(tmp_path: Path) -> None:
    count = """
import numpy, onnxruntime, tokenizers

def threads():
    return len(os.listdir("/proc/self/task"))

before = threads()
embedder.embed_documents(["a text"] * 100)
print(threads() - before)
"""

    assert run(MAKE + count, tmp_path) == "0\n"


def test_making_it_loads_no_heavy_library(tmp_path: Path) -> None:
    look = "print([name for name in ('onnxruntime', 'tokenizers') if name in sys.modules])"

    assert run(MAKE + look, tmp_path) == "[]\n"
