import threading

from memapp.ranking.words import count_terms, terms


def test_endings_and_case_do_not_matter() -> None:
    assert count_terms("Painted paints PAINTING").counts == {"paint": 3}


def test_stop_words_and_possessives_are_left_out() -> None:
    assert count_terms("What is Caroline's identity?").sequence == ("carolin", "ident")


def test_an_identifier_counts_as_itself_and_as_its_parts() -> None:
    assert count_terms("parseHTTPBody").sequence == ("parsehttpbodi", "pars", "http", "bodi")
    assert count_terms("snake_case_name").sequence == ("snake_case_nam", "snake", "case", "name")


def test_scripts_without_spaces_give_pairs_of_characters() -> None:
    assert count_terms("東京都").sequence == ("東京", "京都")
    assert count_terms("木").sequence == ("木",)
    assert count_terms("iPhone用ケース").sequence == ("iphone", "用ケ", "ケー", "ース")


def test_text_without_words_has_no_terms() -> None:
    assert count_terms(" ... --- 🙂 ").sequence == ()


def test_remembered_terms_equal_counted_ones_in_any_number_of_threads() -> None:
    texts = [f"text number {number} about painting" for number in range(200)]
    wrong: list[str] = []

    def check() -> None:
        wrong.extend(text for text in texts if terms(text) != count_terms(text))

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
