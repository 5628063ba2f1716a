import pytest

from memapp.ranking.questions import asking_share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("I paint.", 0.0),
        ("Do you paint?", 1.0),
        ("I do. Do you?", 8 / 13),
        ("Do you? I do.", 7 / 13),
        ("\u4f60\u597d\u3002\u4f60\u597d\u5417\uff1f", 4 / 7),
        ("\u00bfQu\u00e9? S\u00ed!", 5 / 9),
        ("???", 1.0),
    ],
)
def test_what_stands_in_questions_is_counted(text: str, share: float) -> None:
    assert asking_share(text) == pytest.approx(share)
