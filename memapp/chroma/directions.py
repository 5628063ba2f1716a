"""Vectors for records without a text, as Chroma wants one for every record."""

from hashlib import shake_128

import numpy as np

from memapp.records import Vector


def direction(record: str, dimensions: int) -> Vector:
    """Return a unit vector, shape (dimensions,), in a direction chosen by a record's id.

    Each has one of its own, near to nothing, since equal vectors would spoil the index.
    """
    numbers = np.frombuffer(shake_128(record.encode()).digest(2 * dimensions), dtype=np.uint16)
    row = numbers.astype(np.float32) - 32767.5
    return row / np.float32(np.linalg.norm(row))
