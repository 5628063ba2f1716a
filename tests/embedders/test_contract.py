"""What every embedder promises."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memapp.embedders import chroma_default, hashing, minilm, openai, sentence_transformers
from memapp.embedders.caching import with_query_cache
from memapp.ports import Embedder

KINDS = (
    "minilm",
    "minilm-other-file",
    "hash",
    "openai",
    "chroma-default",
    "sentence-transformers",
    "cached",
)
TEXTS = (
    "Maria moved to Lisbon in May and works as a nurse.",
    "The train to the airport leaves at half past seven.",
    "ok",
    "Tom is allergic to peanuts. " * 100,
    "Überraschung 図書館 🎉 \u200b مكتبة",
)


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, config: dict[str, Any]) -> Callable[[], Embedder]:
    """Make an embedder of each kind, a new one with each call."""
    match request.param:
        case "minilm":
            return lambda: minilm.create(config)
        case "minilm-other-file":
            folder: Path = request.getfixturevalue("stand_in_folder")
            return lambda: minilm.create(
                config | {"EMBEDDER_MODEL_PATH": str(folder / "model.onnx")}
            )
        case "hash":
            return lambda: hashing.create(config)
        case "openai":
            openai_config = request.getfixturevalue("openai_config")
            return lambda: openai.create(openai_config)
        case "chroma-default":
            request.getfixturevalue("chroma_stand_in")
            return lambda: chroma_default.create(config)
        case "sentence-transformers":
            request.getfixturevalue("sentence_transformers_stand_in")
            return lambda: sentence_transformers.create(config)
        case _:
            return lambda: with_query_cache(hashing.create(config), size=2)


@pytest.fixture
def embedder(make: Callable[[], Embedder]) -> Embedder:
    return make()


def test_texts_become_one_float32_row_each(embedder: Embedder) -> None:
    vectors = embedder.embed_documents(TEXTS)

    assert vectors.shape == (5, embedder.identity.dimensions)
    assert vectors.dtype == np.float32


def test_rows_are_of_unit_length(embedder: Embedder) -> None:
    lengths = np.linalg.norm(embedder.embed_documents(TEXTS), axis=1)

    assert lengths == pytest.approx(1, abs=1e-5)


def test_rows_are_in_the_order_of_the_texts(embedder: Embedder) -> None:
    forwards = embedder.embed_documents(TEXTS)
    backwards = embedder.embed_documents(TEXTS[::-1])

    np.testing.assert_allclose(backwards[::-1], forwards, atol=1e-5)


def test_a_vector_does_not_depend_on_the_other_texts(embedder: Embedder) -> None:
    together = embedder.embed_documents(TEXTS)
    alone = np.concatenate([embedder.embed_documents([text]) for text in TEXTS])

    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_texts_become_no_rows(embedder: Embedder) -> None:
    assert embedder.embed_documents([]).shape == (0, embedder.identity.dimensions)


@pytest.mark.parametrize("text", ["", " ", "\n\t", ".", "\u200b"])
def test_a_text_without_words_becomes_a_unit_vector(embedder: Embedder, text: str) -> None:
    assert np.linalg.norm(embedder.embed_query(text)) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(embedder.embed_documents([text])) == pytest.approx(1, abs=1e-5)


def test_a_query_becomes_one_float32_unit_vector(embedder: Embedder) -> None:
    vector = embedder.embed_query("Where does Maria live?")

    assert vector.shape == (embedder.identity.dimensions,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_query_is_nearest_to_the_document_that_answers_it(embedder: Embedder) -> None:
    documents = embedder.embed_documents(TEXTS)

    cosines = documents @ embedder.embed_query("Where did Maria, who works as a nurse, move?")

    assert int(cosines.argmax()) == 0


def test_two_embedders_with_equal_settings_agree(make: Callable[[], Embedder]) -> None:
    first, second = make(), make()

    assert first.identity == second.identity
    np.testing.assert_array_equal(first.embed_documents(TEXTS), second.embed_documents(TEXTS))


def test_threads_that_start_at_once_get_the_right_vectors(make: Callable[[], Embedder]) -> None:
    expected = make().embed_documents(TEXTS)
    fresh = make()
    barrier = threading.Barrier(8, timeout=30)

    def embed(number: int) -> None:
        barrier.wait()
        for round_number in range(3):
            position = (number + round_number) % len(TEXTS)
            vector = fresh.embed_query(TEXTS[position])
            np.testing.assert_allclose(vector, expected[position], atol=1e-5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(embed, range(8)))
