"""Write tests/embedders/stand_in.onnx: a tiny model with the interface of a usual export.

    build-venv/bin/python scripts/build_stand_in_model.py

It gives each token fixed pseudo-random numbers, the cosine of its id times 384 frequencies, so that
texts with common words are near each other. Needs scripts/requirements-minilm.txt.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

_TARGET = Path(__file__).resolve().parent.parent / "tests" / "embedders" / "stand_in.onnx"


def main() -> None:
    """Build, check and write the model."""
    frequencies = np.sqrt(np.arange(2, 386, dtype=np.float64)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["numbers", "last"], ["column"]),
            helper.make_node("Mul", ["column", "frequencies"], ["angles"]),
            helper.make_node("Cos", ["angles"], ["last_hidden_state"]),
        ],
        "stand-in",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [
            helper.make_tensor_value_info(
                "last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", 384]
            )
        ],
        [
            numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
            numpy_helper.from_array(frequencies, "frequencies"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    _TARGET.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
