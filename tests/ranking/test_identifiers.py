from memapp.ranking import passage_embedding_text, passage_text
from memapp.ranking.identifiers import identifier_parts, looks_like_code


def test_identifiers_fall_into_their_parts() -> None:
    assert identifier_parts("parse_HTTPBody2Text") == ["parse", "HTTP", "Body2", "Text"]
    assert identifier_parts("plain") == ["plain"]
    assert identifier_parts("__") == ["__"]


def test_code_is_told_from_prose() -> None:
    assert looks_like_code("fn main() { let x = read_file(path); }")
    assert not looks_like_code("She read the file (twice) and then went home with her dog.")
    assert not looks_like_code("")


def test_a_passage_of_code_is_embedded_with_its_identifiers_spelled_out() -> None:
    assert passage_embedding_text("", "", "x = readFile(my_path);") == "x = read File(my path);"


def test_a_passage_of_prose_is_embedded_below_its_title_and_heading() -> None:
    text = "YouTube started in a small office above a shop."
    assert passage_embedding_text("Sites", "Video", text) == f"Sites\nVideo\n{text}"
    assert passage_text("", "Video", text) == f"Video\n{text}"
