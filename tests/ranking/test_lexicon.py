import threading

import pytest

from memapp.ranking import Candidate, lexicon, rank
from memapp.ranking.lexicon import Lexicon, current_lexicon


def test_equal_terms_have_equal_numbers() -> None:
    one = Lexicon()
    painting, cat, painted = one.recall(["painting cat painted"])[0].tolist()
    assert painting == painted != cat


def test_a_remembered_text_has_the_terms_of_a_text_just_read() -> None:
    one = Lexicon()
    first, second = one.recall(["a blue car", "a red bus"])
    assert one.recall(["a red bus", "a blue car"])[1] is first
    assert second.tolist() == one.read("a red bus").tolist()


def test_terms_of_a_query_that_no_text_has_are_like_no_others_and_are_not_learnt() -> None:
    one = Lexicon()
    (text,) = one.recall(["a blue car"])
    for _ in range(2):
        blue, strange, also, again, car = one.read("blue zeppelin oboe zeppelins car").tolist()
        assert [blue, car] == text.tolist()
        assert strange == again
        assert len({blue, strange, also, car}) == 4
    (other,) = one.recall(["two oboes"])
    assert one.read("oboe").tolist() == other.tolist()[1:]
    assert one.read("blueCar").tolist()[1:] == text.tolist()


def test_a_lexicon_is_not_filled_by_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = [Candidate("a blue car", 0.5), Candidate("a red bus", 0.1)]
    rank("red bus", pool)
    monkeypatch.setattr(lexicon, "_MOST_KNOWN", 30_000)
    before = current_lexicon()
    for number in range(100):
        rank(" ".join(f"word{number}of{other}" for other in range(400)), pool)
    assert current_lexicon() is before


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
    expected = [terms.tolist() for terms in one.recall(texts)]
    one.recall(["nothing of this" * 5000])
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
