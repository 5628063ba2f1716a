"""The tests' own embedder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memapp.embedders.hashing import HashEmbedder


def test_shared_words_make_texts_near() -> None:
    embedder = HashEmbedder()
    documents = embedder.embed_documents(["Tom likes green tea", "the train is late again"])

    near, far = documents @ embedder.embed_query("green tea is what Tom likes")

    assert near > 0.4
    assert abs(far) < 0.3


def test_the_order_of_words_counts() -> None:
    first, second = HashEmbedder().embed_documents(["dog bites man", "man bites dog"])

    assert 0.3 < first @ second < 0.99


@pytest.mark.parametrize("seed", ["1", "2"])
def test_vectors_are_the_same_in_every_process(seed: str) -> None:
    program = (
        "from memapp.embedders.hashing import HashEmbedder\n"
        "print(HashEmbedder().embed_query('Tom likes tea').nonzero()[0].tolist())"
    )
    environment = os.environ | {
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert printed == "[12, 65, 147, 193, 242]\n"
