import threading

import pytest

from memapp.ranking import Candidate, lexicon, rank
from memapp.ranking.lexicon import Lexicon, current_lexicon


def test_equal_terms_have_equal_numbers() -> None:
    one = Lexicon()
    painting, cat, painted = one.read("painting cat painted").tolist()
    assert painting == painted != cat


def test_a_remembered_text_has_the_terms_of_a_text_just_read() -> None:
    one = Lexicon()
    first, second = one.recall(["a blue car", "a red bus"])
    assert one.recall(["a red bus", "a blue car"])[1] is first
    assert second.tolist() == one.read("a red bus").tolist()


def test_texts_beyond_the_budget_are_forgotten_longest_unused_first() -> None:
    one = Lexicon(most_bytes=900)
    first, second = one.recall(["a blue car", "a red bus"])
    one.recall(["a blue car", "a green tram"])
    assert one.recall(["a blue car"])[0] is first
    assert one.recall(["a red bus"])[0] is not second


def test_a_text_beyond_the_whole_budget_is_read_all_the_same() -> None:
    one = Lexicon(most_bytes=0)
    assert len(one.recall(["a blue car"])[0]) == 2


def test_a_full_lexicon_is_replaced_and_ranking_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = [Candidate("a blue car", 0.5), Candidate("a red bus", 0.1)]
    before = rank("red bus", pool)
    full = current_lexicon()
    monkeypatch.setattr(lexicon, "_MOST_KNOWN", 1)
    assert rank("red bus", pool) == before
    assert current_lexicon() is not full


def test_many_threads_number_terms_alike() -> None:
    one = Lexicon(most_bytes=20_000)
    texts = [f"text number {number} about painting" for number in range(200)]
    expected = [one.read(text).tolist() for text in texts]
    found: list[bool] = []

    def check() -> None:
        numbers = [terms.tolist() for terms in one.recall(texts)]
        found.append(numbers == expected)

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
