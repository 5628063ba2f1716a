from memapp.ranking import name_candidates, without_names


def test_runs_of_one_to_three_words_are_candidates() -> None:
    assert list(name_candidates("Did Mary Jane Watson call")) == [
        "did",
        "did mary",
        "did mary jane",
        "mary",
        "mary jane",
        "mary jane watson",
        "jane",
        "jane watson",
        "jane watson call",
        "watson",
        "watson call",
        "call",
    ]


def test_a_possessive_is_no_part_of_a_name() -> None:
    assert "caroline" in name_candidates("What is Caroline's identity?")
    assert "o'brien" in name_candidates("where is O'Brien")


def test_there_are_at_most_189_candidates() -> None:
    assert len(list(name_candidates(" ".join(f"w{number}" for number in range(500))))) == 189


def test_known_names_leave_the_query() -> None:
    query = "When did caroline go to Mary  Jane's party?"
    assert without_names(query, {"caroline", "mary jane"}) == "When did go to party?"


def test_a_name_inside_a_word_stays() -> None:
    assert without_names("the planned trip of Ann", {"ann"}) == "the planned trip of"


def test_a_query_of_nothing_but_names_stays_as_it_is() -> None:
    assert without_names("Caroline?", {"caroline"}) == "Caroline?"
    assert without_names("who is it", set()) == "who is it"
