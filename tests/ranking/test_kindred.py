import numpy as np

from memapp.ranking.kindred import kindred_terms
from memapp.ranking.lexicon import Lexicon

NOTHING = np.zeros(0, np.int32)


def test_the_best_texts_give_their_terms_without_those_of_the_query() -> None:
    lexicon = Lexicon()
    texts = lexicon.recall(["cat velvet", "dog bone"])
    found = kindred_terms(texts, np.array([1.0, 0.0]), but=lexicon.read("cat"))
    assert found.terms.tolist() == lexicon.read("velvet").tolist()
    assert found.weights.tolist() == [0.5]


def test_what_better_texts_share_weighs_more() -> None:
    lexicon = Lexicon()
    texts = lexicon.recall(["cat", "dog cat", "dog bone"])
    found = kindred_terms(texts, np.array([1.0, 0.5, 0.25]), but=NOTHING)
    assert found.terms.tolist() == lexicon.read("cat dog bone").tolist()
    assert found.weights.tolist() == [1.25, 0.375, 0.125]


def test_there_are_a_hundred_terms_at_most_and_of_equals_the_first() -> None:
    text = " ".join(f"word{number}" for number in range(150))
    lexicon, other = Lexicon(), Lexicon()
    other.recall([" ".join(reversed(text.split()))])
    found = kindred_terms(lexicon.recall([text]), np.array([1.0]), but=NOTHING)
    found_with_other_numbers = kindred_terms(other.recall([text]), np.array([1.0]), but=NOTHING)
    assert found.terms.tolist() == lexicon.read(text).tolist()[:100]
    assert found_with_other_numbers.terms.tolist() == other.read(text).tolist()[:100]


def test_texts_without_terms_give_none() -> None:
    found = kindred_terms([NOTHING, NOTHING], np.array([1.0, 0.0]), but=NOTHING)
    assert found.terms.tolist() == []
