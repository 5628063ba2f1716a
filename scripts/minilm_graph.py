"""Write all-MiniLM-L6-v2 as an ONNX graph, straight from its weights.

Knows the network; refuses to know where the weights come from, and leaves to its caller how it is
computed (`FLOAT`, or `minilm_integer.INTEGER`). No torch: the graph is the same wherever the same
weights go in.

The graph takes `input_ids` and `attention_mask` (int32, shape (texts, tokens); mask 1 for a
token, 0 for padding on the right) and gives `embedding` (float32, shape (texts, 384), rows of
unit length): BERT, the mean over the unmasked tokens, L2 normalisation, as the model's
`modules.json` prescribes. Token types are always 0, so their row is added to the positions.

What is written how, by what one thread of an AVX-512 processor took with onnxruntime 1.32:

- `Attention` of ONNX itself, told each text's length: 0.65 ms for two texts of 128 tokens, as
  against 0.89 for onnxruntime's `MultiHeadAttention` with a mask and biases.
- Neither keys nor values have a bias. A key's adds the same to all that the softmax compares. A
  value's passes through unchanged, for the shares sum up to 1: it is part of the next bias.
- `Add` and `LayerNormalization`: a fifth of the time of `SkipLayerNormalization`. The session must
  not join them again (memapp/embedders/minilm/network.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Matrix = NDArray[np.float32]
Weights = Mapping[str, Matrix]

MICROSOFT = "com.microsoft"
LAST_HIDDEN = "encoder.layer.5.output.normalised"
"""What the pooling starts from, shape (texts, tokens, 384)."""

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


class Product(Protocol):
    """A way to multiply by weights."""

    def __call__(
        self, graph: Graph, value: str, matrix: Matrix, name: str, *, after_gelu: bool = False
    ) -> str:
        """Add `value @ matrix` under a name, and return that name.

        `after_gelu` says that no number of `value` is much below 0.
        """


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How exactly the network is computed.

    Attributes:
        words: Adds the lookup of `input_ids` in the table of word vectors.
        product: Adds each multiplication by a weight matrix.
        gelu: Adds a bias and applies GELU; an operator of onnxruntime's.
    """

    words: Callable[[Graph, Matrix], str]
    product: Product
    gelu: str


def _float_words(graph: Graph, table: Matrix) -> str:
    return graph.node("Gather", [graph.constant("words", table), "input_ids"], "word")


def float_product(
    graph: Graph, value: str, matrix: Matrix, name: str, *, after_gelu: bool = False
) -> str:
    """Multiply in float32."""
    del after_gelu
    return graph.node("MatMul", [value, graph.constant(f"{name}.matrix", matrix)], name)


FLOAT = Arithmetic(_float_words, float_product, "BiasGelu")
"""What the network was trained with."""


def build(
    weights: Weights, arithmetic: Arithmetic, evening: Mapping[str, Matrix] | None = None
) -> onnx.ModelProto:
    """Return the network as a checked ONNX model.

    Args:
        weights: The official tensors by name.
        arithmetic: How it is computed.
        evening: By a product's name, what each channel of its value is divided by and each row of
            its matrix multiplied by, shape (channels,); none if left out. It changes no result but
            through rounding.
    """
    network = _Network(weights, arithmetic, evening or {})
    network.add()
    model = helper.make_model(
        helper.make_graph(
            network.graph.nodes,
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "tokens"])
                for name in ("input_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", 384])],
            list(network.graph.constants.values()),
        ),
        # The oldest in which Attention takes lengths; every onnxruntime that memapp allows has it.
        opset_imports=[helper.make_opsetid("", 24), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=11,
        producer_name="memapp scripts/build_minilm.py",
    )
    onnx.checker.check_model(model)
    return model


class _Network:
    """The network while it is written."""

    def __init__(
        self, weights: Weights, arithmetic: Arithmetic, evening: Mapping[str, Matrix]
    ) -> None:
        self.graph = Graph()
        self._weights = weights
        self._arithmetic = arithmetic
        self._evening = evening

    def add(self) -> None:
        """Add everything, from `input_ids` to `embedding`."""
        summed, prefix = self._embeddings(), "embeddings."
        for layer in range(_LAYERS):
            summed = self._layer(summed, prefix, f"encoder.layer.{layer}.")
            prefix = f"encoder.layer.{layer}.output."
        _pooling(self.graph, self._normalised(summed, prefix))

    def _embeddings(self) -> str:
        graph = self.graph
        positions = graph.constant(
            "positions",
            self._weights["embeddings.position_embeddings.weight"]
            + self._weights["embeddings.token_type_embeddings.weight"][0],
        )
        zero, one, two = (graph.integers(f"axis.{axis}", axis) for axis in range(3))
        graph.node("Shape", ["input_ids"], "shape")
        length = graph.node("Slice", ["shape", one, two], "tokens")
        position = graph.node("Slice", [positions, zero, length, zero], "position")
        mask = graph.node("Cast", ["attention_mask"], "mask.integers", to=TensorProto.INT64)
        graph.node("ReduceSum", [mask, one], "lengths", keepdims=0)
        word = self._arithmetic.words(graph, self._weights["embeddings.word_embeddings.weight"])
        return graph.node("Add", [word, position], "embeddings.sum")

    def _layer(self, summed: str, norm: str, prefix: str) -> str:
        joined = f"{prefix}attention.self.joined"
        inner, outer = f"{prefix}intermediate.dense", f"{prefix}output.dense"
        even, hidden = self._normalised_and_even(summed, norm, joined)
        attended = self._attention(even, prefix)
        summed = self.graph.node("Add", [attended, hidden], f"{prefix}attention.output.sum")

        even, hidden = self._normalised_and_even(summed, f"{prefix}attention.output.", inner)
        value = self._product(even, self._matrix(inner), inner)
        bias = self.graph.constant(f"{inner}.bias", self._weights[f"{inner}.bias"])
        value = self.graph.node(self._arithmetic.gelu, [value, bias], f"{prefix}gelu", MICROSOFT)
        if outer in self._evening:
            inverse = self.graph.constant(f"{outer}.evening", 1 / self._evening[outer])
            value = self.graph.node("Mul", [value, inverse], f"{outer}.even")
        value = self._product(value, self._matrix(outer), outer, after_gelu=True)
        value = self._plus(value, f"{outer}.bias", self._weights[f"{outer}.bias"])
        return self.graph.node("Add", [value, hidden], f"{prefix}output.sum")

    def _attention(self, value: str, prefix: str) -> str:
        name, dense = f"{prefix}attention.self.", f"{prefix}attention.output.dense"
        queries, keys, values = (
            self._matrix(f"{name}{part}") for part in ("query", "key", "value")
        )
        # What evens out the values' channels costs nothing here: shares are taken by channel.
        values = values / self._scales(dense, values)
        matrix = np.concatenate([queries, keys, values], axis=1)
        joined = self._product(value, matrix, f"{name}joined")
        query, key, value = self.graph.split(joined, [queries.shape[1]] * 3)
        query = self._plus(query, f"{name}query.bias", self._weights[f"{name}query.bias"])
        value = self.graph.node(
            "Attention",
            [query, key, value, "", "", "", "lengths"],
            f"{name}attended",
            q_num_heads=_HEADS,
            kv_num_heads=_HEADS,
        )
        value = self._product(value, self._matrix(dense), dense)
        # Not by `@`, in whose last digits processors differ.
        through = self._weights[f"{name}value.bias"].astype(np.float64)[:, np.newaxis]
        through = (through * self._matrix(dense)).sum(axis=0)
        bias = (self._weights[f"{dense}.bias"] + through).astype(np.float32)
        return self._plus(value, f"{dense}.bias", bias)

    def _normalised_and_even(self, summed: str, norm: str, product: str) -> tuple[str, str]:
        """Add a normalisation; return the value for a product, and as it is."""
        if product not in self._evening:
            hidden = self._normalised(summed, norm)
            return hidden, hidden
        scales = self._evening[product]
        even = self._normalised(summed, norm, 1 / scales)
        scale = self.graph.constant(f"{product}.evening", scales)
        return even, self.graph.node("Mul", [even, scale], f"{norm}hidden")

    def _normalised(self, summed: str, norm: str, factor: Matrix | float = 1) -> str:
        names = [f"{norm}LayerNorm.{part}" for part in ("weight", "bias")]
        return self.graph.node(
            "LayerNormalization",
            [summed, *(self.graph.constant(name, self._weights[name] * factor) for name in names)],
            f"{norm}normalised",
            axis=-1,
            epsilon=_LAYER_NORM_EPSILON,
        )

    def _product(self, value: str, matrix: Matrix, name: str, *, after_gelu: bool = False) -> str:
        matrix = matrix * self._scales(name, matrix)[:, np.newaxis]
        return self._arithmetic.product(self.graph, value, matrix, name, after_gelu=after_gelu)

    def _scales(self, product: str, matrix: Matrix) -> Matrix:
        return self._evening.get(product, np.ones(len(matrix), dtype=np.float32))

    def _matrix(self, name: str) -> Matrix:
        return self._weights[f"{name}.weight"].T

    def _plus(self, value: str, name: str, bias: Matrix) -> str:
        return self.graph.node("Add", [value, self.graph.constant(name, bias)], f"{value}.biased")


def _pooling(graph: Graph, hidden: str) -> None:
    """Add the mean over tokens and the normalisation.

    The mean's divisor is left out: the length becomes 1 in any case.
    """
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, "axis.2"], "mask_column")
    masked = graph.node("Mul", [hidden, mask], "masked")
    total = graph.node("ReduceSum", [masked, "axis.1"], "total", keepdims=0)
    length = graph.node("ReduceL2", [total, "axis.1"], "length", keepdims=1)
    floor = graph.constant("unit_epsilon", np.array(_UNIT_EPSILON, dtype=np.float32))
    length = graph.node("Max", [length, floor], "positive_length")
    graph.node("Div", [total, length], "embedding")
