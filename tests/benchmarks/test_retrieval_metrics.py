"""Our metrics, checked against trec_eval's and against hand-made examples."""

import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.retrieval.metrics import coverage, ndcg_at, recall_at, reciprocal_rank

_IDS = [f"d{number}" for number in range(30)]


@given(
    ranked=st.permutations(_IDS).flatmap(
        lambda order: st.integers(1, 30).map(lambda length: order[:length])
    ),
    relevant=st.sets(st.sampled_from(_IDS), min_size=1),
)
@settings(deadline=None)
def test_our_metrics_are_those_of_trec_eval(ranked: list[str], relevant: set[str]) -> None:
    judge = pytrec_eval.RelevanceEvaluator(
        {"q": dict.fromkeys(relevant, 1)}, {"recall.1,5,10,20", "ndcg_cut.10", "recip_rank"}
    )
    scores = {found: float(len(ranked) - place) for place, found in enumerate(ranked)}
    theirs = judge.evaluate({"q": scores})["q"]
    for limit in (1, 5, 10, 20):
        assert recall_at(limit, ranked, relevant) == pytest.approx(theirs[f"recall_{limit}"])
    assert ndcg_at(10, ranked, relevant) == pytest.approx(theirs["ndcg_cut_10"])
    assert reciprocal_rank(ranked, relevant) == pytest.approx(theirs["recip_rank"])


def test_passages_that_overlap_are_found_once_and_retrieved_twice() -> None:
    covered = coverage([(0, 10), (5, 15)], [(8, 28)])
    assert covered.recall == 7 / 20
    assert covered.precision == 7 / 20
    assert covered.iou == 7 / (20 + 20 - 7)


def test_passages_of_other_texts_cost_precision_only() -> None:
    covered = coverage([(0, 10)], [(0, 10)], elsewhere=30)
    assert (covered.recall, covered.precision, covered.iou) == (1.0, 0.25, 0.25)


def test_nothing_retrieved_covers_nothing() -> None:
    covered = coverage([], [(0, 10)])
    assert (covered.recall, covered.precision, covered.iou) == (0.0, 0.0, 0.0)
