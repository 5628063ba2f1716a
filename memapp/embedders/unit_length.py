"""Bring vectors to unit length, and refuse those that have none."""

import numpy as np
from numpy.typing import ArrayLike

from memapp.errors import EmbedderUnavailable
from memapp.records import Vectors


def unit_rows(values: ArrayLike, *, source: str) -> Vectors:
    """Return rows of unit length that point the same way.

    Args:
        values: Shape (texts, dimensions).
        source: Who made them, for the message.

    Raises:
        EmbedderUnavailable: a number is not finite, or a row is all zeros.
    """
    matrix = np.asarray(values, dtype=np.float64)
    largest = np.abs(matrix).max(axis=1, keepdims=True, initial=0)
    if not np.isfinite(largest).all():
        message = f"{source} gave a vector with a number that is not finite"
        raise EmbedderUnavailable(message)
    if not largest.all():
        message = f"{source} gave a vector of zeros, which points nowhere"
        raise EmbedderUnavailable(message)
    # Divided by the largest first, so that no square overflows or vanishes.
    scaled: Vectors = matrix / largest
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled.astype(np.float32)
