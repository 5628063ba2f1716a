import numpy as np

from memapp.ranking.kindred import kindred_terms
from memapp.ranking.words import count_terms


def test_the_best_texts_give_their_terms_without_those_of_the_query() -> None:
    texts = [count_terms("cat velvet"), count_terms("dog bone")]
    found = kindred_terms(texts, np.array([1.0, 0.0]), but={"cat"})
    assert max(found, key=lambda term: found[term]) == "velvet"
    assert "cat" not in found


def test_there_are_forty_terms_at_most() -> None:
    texts = [count_terms(" ".join(f"word{number}" for number in range(100)))]
    assert len(kindred_terms(texts, np.array([1.0]), but=())) == 40


def test_texts_without_terms_give_none() -> None:
    assert kindred_terms([count_terms("...")], np.array([1.0]), but=()) == {}
