"""What holds for every result of ranking, whatever the query and the candidates."""

import math
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memapp.ranking import Candidate, Mode, lexical_text, lexicon, rank

NOON = datetime(2023, 5, 8, 12, tzinfo=UTC)
MODES: tuple[Mode, ...] = get_args(Mode)

_texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["", "the", "blue car", "parse_http_body", "東京の天気", "what? why?", "🙂"]),
)
_moments = st.none() | st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)
_candidates = st.lists(
    st.builds(
        Candidate,
        text=_texts,
        cosine=st.floats(min_value=-1, max_value=1) | st.sampled_from([math.nan, math.inf]),
        conversation=st.none() | st.sampled_from(["a", "b"]),
        occurred_at=_moments,
        recorded_at=_moments,
        speaker=st.none() | st.sampled_from(["Ann", "Bob"]),
    ),
    max_size=12,
)


@given(
    query=_texts,
    candidates=_candidates,
    mode=st.sampled_from(MODES),
    speakers=st.sets(st.sampled_from(["ann", "bob"])),
)
@settings(deadline=None)
def test_every_candidate_is_ranked_once_best_first_with_scores_from_0_to_1(
    query: str, candidates: list[Candidate], mode: Mode, speakers: set[str]
) -> None:
    ranked = rank(query, candidates, mode=mode, speakers=speakers, speaker_boost=0.25, now=NOON)
    assert sorted(r.index for r in ranked) == list(range(len(candidates)))
    scores = [r.score for r in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@given(query=_texts, candidates=_candidates, mode=st.sampled_from(MODES))
@settings(deadline=None)
def test_the_parts_of_a_score_add_up_to_it(
    query: str, candidates: list[Candidate], mode: Mode
) -> None:
    for ranked in rank(
        query, candidates, mode=mode, speakers={"ann"}, speaker_boost=0.25, now=NOON
    ):
        assert sum(ranked.parts.values()) == pytest.approx(ranked.score)
        assert all(part >= 0 for part in ranked.parts.values())


@given(query=_texts, candidates=_candidates, limit=st.integers(1, 15))
@settings(deadline=None)
def test_a_limit_cuts_the_result_and_changes_nothing_else(
    query: str, candidates: list[Candidate], limit: int
) -> None:
    assert rank(query, candidates, limit=limit) == rank(query, candidates)[:limit]


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_pool_gives_an_empty_result(mode: Mode) -> None:
    assert rank("anything", [], mode=mode) == []


@pytest.mark.parametrize("mode", MODES)
def test_equal_candidates_keep_the_order_given(mode: Mode) -> None:
    pool = [Candidate("the blue car", 0.5), Candidate("a red bus", 0.1)] * 40
    order = [r.index for r in rank("blue car", pool, mode=mode)]
    assert order == [*range(0, 80, 2), *range(1, 80, 2)]


def test_scores_above_one_are_scaled_and_not_cut() -> None:
    pool = [
        Candidate("Ann: the blue car", 0.9, speaker="Ann"),
        Candidate("Ann: the blue car there", 0.8, speaker="Ann"),
        Candidate("Bob: hello", 0.0, speaker="Bob"),
    ]
    best, second, _ = rank("blue car", pool, speakers={"ann"}, speaker_boost=0.25)
    assert best.score == 1.0
    assert second.score < 1.0
    assert sum(best.parts.values()) == pytest.approx(1.0)


def test_a_single_match_has_the_highest_score() -> None:
    (only,) = rank("blue car", [Candidate("the blue car", 0.3)])
    assert only.score == 1.0


@pytest.mark.parametrize("mode", MODES)
def test_a_pool_of_one_gives_one_result(mode: Mode) -> None:
    (only,) = rank("blue car", [Candidate("a blue car", 0.5)], mode=mode)
    assert only.index == 0
    assert 0 < only.score <= 1


@pytest.mark.parametrize(
    "query", ["\U0001f642", "\x00", "\u202eblue", "na\u00efve \u0627\u0644\u0642\u0637", "???", " "]
)
@pytest.mark.parametrize("mode", MODES)
def test_a_query_of_any_characters_is_ranked(query: str, mode: Mode) -> None:
    pool = [Candidate("a blue car", 0.5), Candidate("\u0627\u0644\u0642\u0637 \U0001f642", 0.25)]
    assert sorted(r.index for r in rank(query, pool, mode=mode)) == [0, 1]


def test_candidates_without_any_shared_word_are_ranked_by_cosine() -> None:
    pool = [Candidate("alpha", 0.1), Candidate("beta", 0.9), Candidate("gamma", 0.5)]
    assert [r.index for r in rank("unrelated", pool)] == [1, 2, 0]


def test_a_query_of_stop_words_is_ranked_by_cosine() -> None:
    pool = [Candidate("who is it", 0.1), Candidate("a tree", 0.9)]
    assert [r.index for r in rank("who is the", pool)] == [1, 0]


def test_without_variance_in_cosine_the_words_decide() -> None:
    pool = [Candidate("a red bus", 0.5), Candidate("a blue car", 0.5)]
    assert rank("blue car", pool)[0].index == 1


def test_semantic_mode_ignores_words_and_keyword_mode_ignores_cosine() -> None:
    pool = [Candidate("a blue car", 0.1), Candidate("a vehicle", 0.9)]
    assert rank("blue car", pool, mode="semantic")[0].index == 1
    assert rank("blue car", pool, mode="keyword")[0].index == 0


def test_semantic_scores_are_the_cosines() -> None:
    ranked = rank("anything", [Candidate("a", 0.75), Candidate("b", -0.5)], mode="semantic")
    assert [r.score for r in ranked] == [0.75, 0.0]


def test_a_query_of_8000_characters_is_ranked() -> None:
    query = " ".join(f"word{number}" for number in range(900))[:8000]
    pool = [Candidate("something else", 0.2), Candidate("word3 word4", 0.2)]
    assert rank(query, pool)[0].index == 1


def test_only_the_first_256_terms_of_a_query_count() -> None:
    query = " ".join(["tea"] * 256 + ["coffee"])
    (only,) = rank(query, [Candidate("coffee", 0.5)], mode="keyword")
    assert only.score == 0


def test_text_without_spaces_is_found_by_its_characters() -> None:
    pool = [Candidate("大阪の電車は速い", 0.5), Candidate("東京都の天気は晴れ", 0.5)]
    assert rank("東京の天気", pool)[0].index == 1


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "\u0e2d\u0e32\u0e01\u0e32\u0e28\u0e40\u0e1b\u0e47\u0e19\u0e2d\u0e22\u0e48\u0e32\u0e07\u0e44\u0e23",
            "\u0e27\u0e31\u0e19\u0e19\u0e35\u0e49\u0e2d\u0e32\u0e01\u0e32\u0e28\u0e14\u0e35",
        ),
        ("\ub0a0\uc528\ub294 \uc5b4\ub54c\uc694", "\uc624\ub298 \ub0a0\uc528\uac00 \uc88b\ub2e4"),
        ("\u5929\u6c14\u600e\u4e48\u6837", "\u4eca\u5929\u5929\u6c14\u5f88\u597d"),
    ],
    ids=["Thai", "Korean", "Chinese"],
)
def test_words_are_found_in_languages_that_do_not_part_them(query: str, text: str) -> None:
    pool = [Candidate("something else", 0.5), Candidate(text, 0.5)]
    assert rank(query, pool)[0].index == 1


def test_accents_and_width_do_not_hide_a_word() -> None:
    pool = [Candidate("a tree", 0.5), Candidate("a café in Zürich", 0.5)]
    assert rank("cafe in ZURICH", pool)[0].index == 1
    assert rank("ｃａｆé", pool)[0].index == 1


def test_a_named_speaker_is_preferred_and_two_are_not() -> None:
    pool = [
        Candidate("Bob: I like tea", 0.5, speaker="Bob"),
        Candidate("Ann: I like tea", 0.5, speaker="Ann"),
    ]
    assert rank("likes tea", pool, speakers={"ann"}, speaker_boost=0.25)[0].index == 1
    assert rank("likes tea", pool, speakers={"ann", "bob"}, speaker_boost=0.25)[0].index == 0
    assert rank("likes tea", pool, speakers={"ann"}, speaker_boost=0)[0].index == 0


def test_a_turn_next_to_a_match_beats_a_turn_elsewhere() -> None:
    pool = [
        Candidate("Nice weather", 0.3, conversation="one", occurred_at=NOON),
        Candidate("Yes, in March", 0.3, conversation="two", occurred_at=NOON),
        Candidate(
            "The wedding was lovely",
            0.9,
            conversation="two",
            occurred_at=NOON + timedelta(minutes=1),
        ),
    ]
    assert [r.index for r in rank("wedding", pool)] == [2, 1, 0]


def test_a_turn_after_a_long_pause_gains_nothing() -> None:
    pool = [
        Candidate("The wedding was lovely", 0.9, conversation="one", occurred_at=NOON),
        Candidate("Yes", 0.3, conversation="one", occurred_at=NOON + timedelta(hours=2)),
    ]
    assert rank("wedding", pool)[1].parts["neighbours"] == 0


def test_turns_of_one_moment_are_ordered_by_when_they_were_recorded() -> None:
    def turn(text: str, cosine: float, minute: int) -> Candidate:
        recorded = NOON + timedelta(minutes=minute)
        return Candidate(text, cosine, "one", NOON, recorded)

    pool = [turn("wedding", 0.9, 0), *(turn("filler", 0.1, m) for m in (4, 3, 2, 1))]
    gains = {r.index: r.parts["neighbours"] for r in rank("wedding", pool)}
    assert gains[4] > gains[3] > gains[2] == gains[1] == 0


def test_a_turn_that_only_asks_falls_behind_one_that_tells() -> None:
    pool = [
        Candidate("Ann: Where is the blue car?", 0.5, speaker="Ann"),
        Candidate("Bob: There is the blue car.", 0.5, speaker="Bob"),
    ]
    assert rank("blue car", pool)[0].index == 1


def test_a_passage_that_asks_loses_nothing() -> None:
    pool = [Candidate("Where is the blue car?", 0.5), Candidate("There is the blue car.", 0.5)]
    assert rank("blue car", pool)[0].index == 0


@pytest.mark.parametrize(
    "query", ["the fair on 8 May 2023", "the fair in May", "the fair last month"]
)
def test_a_time_in_the_query_prefers_what_occurred_then(query: str) -> None:
    pool = [
        Candidate("we went to the fair", 0.5, occurred_at=NOON - timedelta(days=90)),
        Candidate("we went to the fair", 0.5, occurred_at=NOON),
    ]
    now = datetime(2023, 6, 10, tzinfo=UTC)
    assert rank(query, pool, now=now)[0].index == 1


def test_a_phrase_counts_as_a_whole_word_only() -> None:
    pool = [Candidate("we planned it", 0.5), Candidate("it was Ann", 0.5)]
    best = rank('who said "Ann"', pool)[0]
    assert best.index == 1
    assert best.parts["exact"] > 0
    assert rank('who said "Ann"', pool)[1].parts["exact"] == 0


def test_adjacent_words_count_more_than_scattered_ones() -> None:
    pool = [
        Candidate("the river near Thames street and its bank", 0.5),
        Candidate("the street and its bank near river Thames", 0.5),
    ]
    assert rank("river thames", pool)[0].index == 1


def test_words_that_the_best_have_in_common_lift_a_candidate() -> None:
    pool = [
        Candidate("the cat purrs on her velvet cushion", 0.9),
        Candidate("a cat asleep on velvet, a cushion below", 0.9),
        Candidate("a bicycle with a basket", 0.5),
        Candidate("velvet for a cushion", 0.5),
    ]
    ranked = rank("where is the cat", pool)
    assert [r.index for r in ranked[2:]] == [3, 2]
    assert ranked[2].parts["keyword"] == 0 < ranked[2].parts["kindred"]


def test_a_pool_ranks_alike_whatever_was_ranked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = [Candidate(f"cat {n % 7} dog {n % 5} bird {n % 3} velvet", 0.5) for n in range(60)]
    ranked = {}
    for before in ("velvet bird", "dog 4 3 2 1 0 cat"):
        monkeypatch.setattr(lexicon, "_MOST_KNOWN", 1)
        rank(before, [Candidate(before, 0.5)])
        monkeypatch.undo()
        ranked[before] = rank("what cat and bird", pool)
    assert ranked["velvet bird"] == ranked["dog 4 3 2 1 0 cat"]


def test_a_memory_is_worded_with_its_speaker_and_date() -> None:
    assert lexical_text("Ann", NOON, "hello") == "Ann (8 May 2023): hello"
    assert lexical_text("Ann", None, "hello") == "Ann: hello"
    assert lexical_text(None, NOON, "hello") == "hello"
