"""Vectors in 16 bits compare with a query as those in 32 bits do."""

import numpy as np
import pytest

from memapp.chroma.kept_vectors import KeptVectors
from memapp.records import Vectors


def unit(rows: int, dimensions: int = 384, seed: int = 1) -> Vectors:
    """Return random vectors of unit length."""
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions))
    of_unit_length: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return of_unit_length.astype(np.float32)


@pytest.mark.parametrize("rows", [1, 2, 1000])
@pytest.mark.parametrize("dimensions", [1, 2, 7, 384, 1536])
def test_cosines_are_those_of_the_vectors_given(rows: int, dimensions: int) -> None:
    vectors, query = unit(rows, dimensions), unit(1, dimensions, seed=2)[0]

    cosines = KeptVectors.of(vectors).cosines(query)

    assert cosines.shape == (rows,)
    assert np.abs(cosines - vectors @ query).max() < 0.0005


def test_a_vector_is_nearest_to_itself_even_if_all_its_numbers_are_rounded_alike() -> None:
    even = np.full((1, 384), 384**-0.5, dtype=np.float32)
    kept = KeptVectors.joined([KeptVectors.of(unit(50)), KeptVectors.of(even)])

    assert kept.cosines(even[0])[50] == pytest.approx(1.0, abs=1e-6)
    for row, vector in enumerate(unit(50)):
        assert kept.cosines(vector)[row] == pytest.approx(1.0, abs=1e-6)


def test_half_the_bytes_are_kept() -> None:
    vectors = unit(100)
    assert KeptVectors.of(vectors).nbytes < 0.51 * vectors.nbytes


def test_rows_are_kept_in_the_order_asked_for() -> None:
    vectors, query = unit(20), unit(1, seed=2)[0]
    kept = KeptVectors.of(vectors)
    cosines = kept.cosines(query)

    assert kept.at([7, 3]).cosines(query) == pytest.approx(cosines[[7, 3]], abs=1e-6)
    joined = KeptVectors.joined([kept.at([]), kept.at([7]), kept.at([3, 4])])
    assert joined.cosines(query) == pytest.approx(cosines[[7, 3, 4]], abs=1e-6)


def test_of_nothing_there_are_no_cosines() -> None:
    query = unit(1)[0]
    for nothing in (KeptVectors.joined([]), KeptVectors.of(unit(3)).at([])):
        assert len(nothing) == 0
        assert nothing.cosines(query).shape == (0,)


def test_a_vector_without_a_direction_is_like_no_other() -> None:
    nowhere = np.zeros((1, 4), dtype=np.float32)
    assert KeptVectors.of(nowhere).cosines(unit(1, 4)[0]) == [0]
    assert KeptVectors.of(unit(1, 4)).cosines(nowhere[0]) == [0]
