import re

from hypothesis import given
from hypothesis import strategies as st

from memapp.ranking.words import terms_of_word, words_of


def _terms(text: str) -> list[str]:
    return [term for word in words_of(text) for term in terms_of_word(word)]


def test_endings_and_case_do_not_matter() -> None:
    assert _terms("Painted paints PAINTING") == ["paint", "paint", "paint"]


def test_stop_words_and_possessives_are_left_out() -> None:
    assert _terms("What is Caroline's identity?") == ["carolin", "ident"]


def test_an_identifier_counts_as_itself_and_as_its_parts() -> None:
    assert _terms("parseHTTPBody") == ["parsehttpbodi", "pars", "http", "bodi"]
    assert _terms("snake_case_name") == ["snake_case_nam", "snake", "case", "name"]


def test_scripts_without_spaces_give_pairs_of_characters() -> None:
    assert _terms("東京都") == ["東京", "京都"]
    assert _terms("木") == ["木"]
    assert _terms("iPhone用ケース") == ["iphone", "用ケ", "ケー", "ース"]


def test_text_without_words_has_no_terms() -> None:
    assert _terms(" ... --- 🙂 ") == []


@given(st.text(st.sampled_from("ab'_7 .-\t\x1c\x00é\u2019")))
def test_words_are_letters_digits_and_underscores_with_apostrophes_inside_only(text: str) -> None:
    plain = text.replace("é", "e").replace("\u2019", "'")

    assert words_of(text) == re.findall(r"\w+(?:'\w+)*", plain)
