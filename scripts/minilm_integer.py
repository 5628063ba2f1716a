"""Compute the network's products in 8-bit integers: a quarter of the size, half of the time.

Knows how to quantise; refuses to know the network.

`onnxruntime.quantization.quantize_dynamic` gives one scale to the activations of a whole batch.
BERT has few tokens and few channels that are far larger than the rest, so the others lose their
digits: the cosine to the float network fell to 0.976, and a text's vector depended on the texts
embedded along with it. Here, for 10 % more time:

- each token has its own scale, the largest magnitude in its row; a vector depends on its text only;
- channels are evened out first by powers of two, moved from activations into weights (SmoothQuant,
  https://arxiv.org/abs/2211.10438). Powers of two are exact in floating point, and
  the rounding hides the last digits, in which processors differ: the same file is built everywhere.

Weights keep 7 bits, one scale per output channel (`reduce_range`): with 8 bits, processors
without VNNI saturate when they add two products of 255 and 127 in 16 bits.
"""

from collections.abc import Mapping

import numpy as np
from minilm_graph import MICROSOFT, Graph, Matrix, Product
from numpy.typing import NDArray
from onnx import TensorProto

_ACTIVATION_LIMIT = 127
_WEIGHT_LIMIT = 63
_WORD_LIMIT = 127
_TINY = np.float32(1e-12)
_ALPHA = 0.35


def integer_product(magnitudes: Mapping[str, Matrix]) -> Product:
    """Return a product in 8-bit integers.

    Args:
        magnitudes: By the product's name, the largest magnitude that each channel of the value
            took in a calibration, shape (channels,).
    """

    def product(graph: Graph, value: str, matrix: Matrix, name: str) -> str:
        scales = _smoothing(magnitudes[name], matrix)
        inverse = graph.constant(f"{name}.smoothing", 1 / scales)
        value = graph.node("Mul", [value, inverse], f"{name}.smooth")
        size = _row_size(graph, value, name)
        value = graph.node("Div", [value, size], f"{name}.unit")
        scale = graph.constant("integer.scale", np.array(1 / _ACTIVATION_LIMIT, dtype=np.float32))
        zero = graph.constant("integer.zero", np.array(_ACTIVATION_LIMIT + 1, dtype=np.uint8))
        value = graph.node("QuantizeLinear", [value, scale, zero], f"{name}.quantised")
        integers, steps = _quantise(matrix * scales[:, np.newaxis], _WEIGHT_LIMIT, axis=0)
        weights = [
            graph.constant(f"{name}.matrix", integers),
            scale,
            graph.constant(f"{name}.steps", steps[0]),
            zero,
        ]
        value = graph.node("MatMulIntegerToFloat", [value, *weights], f"{name}.scaled", MICROSOFT)
        return graph.node("Mul", [value, size], name)

    return product


def integer_words(graph: Graph, table: Matrix) -> str:
    """Look up word vectors in 8-bit integers, one scale per word."""
    integers, steps = _quantise(table, _WORD_LIMIT, axis=1)
    found = graph.node("Gather", [graph.constant("words", integers), "input_ids"], "word.integers")
    found = graph.node("Cast", [found], "word.floats", to=TensorProto.FLOAT)
    step = graph.node("Gather", [graph.constant("words.steps", steps), "input_ids"], "word.step")
    return graph.node("Mul", [found, step], "word")


def _smoothing(magnitudes: Matrix, matrix: Matrix) -> Matrix:
    """Return a power of two per input channel: what to multiply its weights by."""
    floor = 1e-3
    weights = np.sqrt((matrix.astype(np.float64) ** 2).mean(axis=1))
    logarithms = _ALPHA * np.log2(np.maximum(magnitudes.astype(np.float64), floor)) - (
        1 - _ALPHA
    ) * np.log2(np.maximum(weights, floor))
    return np.exp2(np.round(logarithms - logarithms.mean())).astype(np.float32)


def _row_size(graph: Graph, value: str, name: str) -> str:
    """Add the largest magnitude in each row, never quite 0."""
    magnitude = graph.node("Abs", [value], f"{name}.magnitude")
    largest = graph.node("ReduceMax", [magnitude], f"{name}.largest", axes=[-1], keepdims=1)
    return graph.node("Max", [largest, graph.constant("tiny", np.array(_TINY))], f"{name}.size")


def _quantise(matrix: Matrix, limit: int, *, axis: int) -> tuple[NDArray[np.int8], Matrix]:
    """Return integers within ±limit and the steps, one per slice, that scale them back."""
    steps = np.maximum(np.abs(matrix).max(axis=axis, keepdims=True) / limit, _TINY)
    return np.round(matrix / steps).astype(np.int8), steps.astype(np.float32)
