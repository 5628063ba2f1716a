"""Check what an embedding service answers before anyone believes it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memapp.errors import EmbedderUnavailable


def rows(answer: Any, *, count: int, dimensions: int, source: str) -> NDArray[np.float64]:
    """Return the vectors in an answer, in the order of the texts, shape (count, dimensions).

    Args:
        answer: The decoded JSON.
        count: How many texts were sent.
        dimensions: Length that each vector must have; 0 accepts any common length.
        source: Who answered, for the message.

    Raises:
        EmbedderUnavailable: the answer is not what was asked for.
    """
    try:
        # Services may answer in any order; `index` tells which text a vector is for.
        by_index = {int(entry["index"]): entry["embedding"] for entry in answer["data"]}
        values = np.array([by_index[index] for index in range(count)])
    except (KeyError, TypeError, ValueError) as error:
        message = f"{source} did not answer with one vector for each of {count} texts"
        raise EmbedderUnavailable(message) from error
    if len(answer["data"]) != count or values.ndim != 2 or values.dtype.kind not in "fi":  # noqa: PLR2004
        message = f"{source} did not answer with one vector of numbers for each of {count} texts"
        raise EmbedderUnavailable(message)
    if dimensions and values.shape[1] != dimensions:
        message = (
            f"{source} gave vectors of {values.shape[1]} numbers where {dimensions} are expected; "
            "compare OPENAI_MODEL and OPENAI_DIMENSIONS with what it serves"
        )
        raise EmbedderUnavailable(message)
    return values.astype(np.float64)
