"""Write all-MiniLM-L6-v2 as an ONNX graph, straight from its weights.

Knows the network; refuses to know where the weights come from, and leaves to its caller how a
matrix product is computed (`float_product`, or `minilm_integer.integer_product`). No torch: the
graph is the same wherever the same weights go in.

The graph takes `input_ids` and `attention_mask` (int32, shape (texts, tokens); mask 1 for a
token, 0 for padding on the right) and gives `embedding` (float32, shape (texts, 384), rows of
unit length): BERT, the mean over the unmasked tokens, L2 normalisation, as the model's
`modules.json` prescribes. Token types are always 0, so their row is added to the positions.

Attention, bias with GELU, and the normalisations of a sum are written as onnxruntime's fused
operators (domain `com.microsoft`): what `onnxruntime.transformers.optimizer` makes of the
standard ones, without its pattern matching.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Matrix = NDArray[np.float32]
Weights = Mapping[str, Matrix]

MICROSOFT = "com.microsoft"

# From config.json of the model.
_HEADS = 12
_LAYERS = 6
_LAYER_NORM_EPSILON = 1e-12
# What torch.nn.functional.normalize, which sentence-transformers calls, uses by default.
_UNIT_EPSILON = 1e-12


class Graph:
    """Nodes and constants, in the order in which they were added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant, or find the one of this name, and return its name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, name: str, *values: int) -> str:
        """Add an int64 constant as ONNX wants axes and sizes, and return its name."""
        return self.constant(name, np.array(values, dtype=np.int64))

    def node(
        self, operator: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output, named like it, and return that name."""
        self.nodes.append(
            helper.make_node(operator, inputs, [output], output, domain=domain, **attributes)
        )
        return output

    def split(self, value: str, sizes: Sequence[int]) -> list[str]:
        """Cut the last axis into parts of these sizes and return the parts' names."""
        outputs = [f"{value}.{part}" for part in range(len(sizes))]
        inputs = [value, self.integers(f"{value}.sizes", *sizes)]
        self.nodes.append(helper.make_node("Split", inputs, outputs, f"{value}.split", axis=-1))
        return outputs


Product = Callable[[Graph, str, Matrix, str], str]
"""Adds `value @ matrix` under a name, the last argument, and returns that name."""


def float_product(graph: Graph, value: str, matrix: Matrix, name: str) -> str:
    """Multiply in float32: what the network was trained with."""
    return graph.node("MatMul", [value, graph.constant(f"{name}.matrix", matrix)], name)


def build(
    weights: Weights, words: Callable[[Graph, Matrix], str], product: Product
) -> onnx.ModelProto:
    """Return the network as a checked ONNX model.

    Args:
        weights: The official tensors by name.
        words: Adds the lookup of `input_ids` in the table of word vectors.
        product: Adds each multiplication by a weight matrix.
    """
    graph = Graph()
    hidden = _embeddings(graph, weights, words)
    for layer in range(_LAYERS):
        hidden = _layer(graph, weights, hidden, f"encoder.layer.{layer}.", product)
    _pooling(graph, hidden)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "tokens"])
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", 384])],
            list(graph.constants.values()),
        ),
        # Old versions on purpose: any onnxruntime that memapp allows reads them.
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=8,
        producer_name="memapp scripts/build_minilm.py",
    )
    onnx.checker.check_model(model)
    return model


def float_words(graph: Graph, table: Matrix) -> str:
    """Look up word vectors in float32."""
    return graph.node("Gather", [graph.constant("words", table), "input_ids"], "word")


def _embeddings(graph: Graph, weights: Weights, words: Callable[[Graph, Matrix], str]) -> str:
    positions = graph.constant(
        "positions",
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0],
    )
    zero, one, two = (graph.integers(f"axis.{axis}", axis) for axis in range(3))
    shape = graph.node("Shape", ["input_ids"], "shape")
    length = graph.node("Slice", [shape, one, two], "tokens")
    position = graph.node("Slice", [positions, zero, length, zero], "position")
    word = words(graph, weights["embeddings.word_embeddings.weight"])
    total = graph.node("Add", [word, position], "word_and_position")
    return graph.node(
        "LayerNormalization",
        [total, *_norm(graph, weights, "embeddings.LayerNorm.")],
        "embedded",
        axis=-1,
        epsilon=_LAYER_NORM_EPSILON,
    )


def _layer(graph: Graph, weights: Weights, hidden: str, prefix: str, product: Product) -> str:
    def linear(value: str, name: str) -> str:
        return product(graph, value, weights[f"{prefix}{name}.weight"].T, f"{prefix}{name}")

    attended = _attention(graph, weights, hidden, f"{prefix}attention.self.", product)
    attended = linear(attended, "attention.output.dense")
    hidden = _residual(graph, weights, attended, hidden, f"{prefix}attention.output.")
    inner = linear(hidden, "intermediate.dense")
    bias = graph.constant(f"{inner}.bias", weights[f"{inner}.bias"])
    inner = graph.node("BiasGelu", [inner, bias], f"{prefix}gelu", MICROSOFT)
    outer = linear(inner, "output.dense")
    return _residual(graph, weights, outer, hidden, f"{prefix}output.")


def _attention(graph: Graph, weights: Weights, hidden: str, prefix: str, product: Product) -> str:
    parts = [f"{prefix}{part}." for part in ("query", "key", "value")]
    matrix = np.concatenate([weights[f"{part}weight"].T for part in parts], axis=1)
    biases = [weights[f"{part}bias"] for part in parts]
    joined = product(graph, hidden, matrix, f"{prefix}joined")
    return graph.node(
        "MultiHeadAttention",
        [
            *graph.split(joined, [bias.size for bias in biases]),
            graph.constant(f"{prefix}bias", np.concatenate(biases)),
            "attention_mask",
        ],
        f"{prefix}attended",
        MICROSOFT,
        num_heads=_HEADS,
    )


def _residual(graph: Graph, weights: Weights, hidden: str, skipped: str, prefix: str) -> str:
    bias = graph.constant(f"{prefix}dense.bias", weights[f"{prefix}dense.bias"])
    return graph.node(
        "SkipLayerNormalization",
        [hidden, skipped, *_norm(graph, weights, f"{prefix}LayerNorm."), bias],
        f"{prefix}normalised",
        MICROSOFT,
        epsilon=_LAYER_NORM_EPSILON,
    )


def _norm(graph: Graph, weights: Weights, prefix: str) -> list[str]:
    return [graph.constant(prefix + part, weights[prefix + part]) for part in ("weight", "bias")]


def _pooling(graph: Graph, hidden: str) -> None:
    """Add the mean over tokens and the normalisation.

    The mean's divisor is left out: the length becomes 1 in any case.
    """
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, "axis.2"], "mask_column")
    masked = graph.node("Mul", [hidden, mask], "masked")
    total = graph.node("ReduceSum", [masked, "axis.1"], "total", keepdims=0)
    length = graph.node("ReduceL2", [total], "length", axes=[1], keepdims=1)
    floor = graph.constant("unit_epsilon", np.array(_UNIT_EPSILON, dtype=np.float32))
    length = graph.node("Max", [length, floor], "positive_length")
    graph.node("Div", [total, length], "embedding")
