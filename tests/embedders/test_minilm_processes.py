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

CONFIG = {setting.name: setting.default for setting in DECLARED}
embedder = minilm.create(CONFIG)
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
from memapp.embedders.minilm import network as module

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


LOAD_FIRST = """
from memapp.embedders.minilm import network as module

class Network(module.Network):
    def __init__(self, model):
        super().__init__(model)
        os.write(1, f"loaded in {os.getpid()}\\n".encode())

    def run(self, tokens):
        os.write(1, f"run in {os.getpid()}\\n".encode())
        return super().run(tokens)

module.Network = Network
minilm.load_before_fork(CONFIG)
"""


def test_children_run_the_network_that_was_loaded_before_the_fork(tmp_path: Path) -> None:
    lines = run(MAKE + LOAD_FIRST + FORK_AND_LEAVE, tmp_path).splitlines()

    assert sum(line.startswith("loaded in") for line in lines) == 1
    assert len({line for line in lines if line.startswith("run in")}) == 4


def test_a_process_never_runs_the_network_that_its_children_inherit(tmp_path: Path) -> None:
    output = run(MAKE + LOAD_FIRST + "embedder.embed_query('here')\n" + FORK_AND_LEAVE, tmp_path)

    loaded = [line for line in output.splitlines() if line.startswith("loaded in")]
    assert len(loaded) == 2
    assert len(set(loaded)) == 1


def test_a_network_that_was_run_crosses_no_further_fork(tmp_path: Path) -> None:
    twice = """
if not os.fork():
    embedder.embed_query("in a child")
    if not os.fork():
        embedder.embed_query("in its child")
        os._exit(0)
    os.wait()
    os._exit(0)
os.wait()
"""

    lines = run(MAKE + LOAD_FIRST + twice, tmp_path).splitlines()

    loaded, ran = ([one.split()[-1] for one in lines if one.startswith(what)] for what in "lr")
    assert len(loaded) == len(ran) == 2
    assert loaded[1] == ran[1] != ran[0]


def test_with_another_tokenizer_the_network_is_loaded_anew(tmp_path: Path) -> None:
    exchange = (
        """
import shutil
from pathlib import Path

for name in ("model.onnx", "model.onnx.data", "tokenizer.json"):
    shutil.copy(Path(minilm.__file__).parent / name, name)
CONFIG |= {"EMBEDDER_MODEL_PATH": "model.onnx"}
"""
        + LOAD_FIRST
        + """
embedder = minilm.create(CONFIG)
with open("tokenizer.json", "a") as tokenizer:
    tokenizer.write(" ")
if not os.fork():
    embedder.embed_query("anything")
    os._exit(0)
os.wait()
"""
    )

    output = run(f"import os; os.chdir({str(tmp_path)!r})\n" + MAKE + exchange, tmp_path)

    assert output.count("loaded in") == 2


def test_a_network_loaded_before_the_fork_is_no_longer_used_once_its_file_is_another(
    tmp_path: Path,
) -> None:
    exchange = """
import shutil
from pathlib import Path

from memapp.errors import ConfigurationError

files = Path(minilm.__file__).parent
for name in ("model.onnx", "model.onnx.data", "tokenizer.json"):
    shutil.copy(files / name, name)
CONFIG |= {"EMBEDDER_MODEL_PATH": "model.onnx"}
minilm.load_before_fork(CONFIG)
embedder = minilm.create(CONFIG)
with open("model.onnx.data", "r+b") as weights:
    weights.write(b"other weights")
if not os.fork():
    try:
        embedder.embed_query("anything")
    except ConfigurationError as error:
        print("is damaged, changed or another one" in str(error), flush=True)
    os._exit(0)
os.wait()
"""

    assert run(f"import os; os.chdir({str(tmp_path)!r})\n" + MAKE + exchange, tmp_path) == "True\n"


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
