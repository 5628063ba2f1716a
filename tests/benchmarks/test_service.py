"""The service benchmark for real, on a tiny size: real servers, real processes, no judgement."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.service.operations import OPERATIONS
from benchmarks.service.results import Results
from benchmarks.service.run import PARTS, Run
from benchmarks.service.sizes import SIZES

CONTESTANTS = ("memapp", "client", "where", "rest")

# One run serves all of these tests; on a busy machine it takes minutes.
pytestmark = pytest.mark.timeout(480)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What a run has found that leaves out what needs a network: the peer's own environment."""
    return run(tmp_path_factory.mktemp("cache"), [part for part in PARTS if part != "growth"])


def run(cache: Path, parts: Sequence[str]) -> Results:
    said: list[str] = []
    return Run(
        SIZES["tiny"], parts=parts, contestants=CONTESTANTS, cache=cache, seed=1, say=said.append
    ).go()


def test_everybody_does_what_they_know_without_a_failure(found: Results) -> None:
    done = {(turn.contestant, turn.operation) for turn in found.turns}

    assert found.notes == []
    assert {turn.first_failure for turn in found.turns} == {""}
    assert {name for who, name in done if who == "memapp"} == {one.name for one in OPERATIONS}
    assert {name for who, name in done if who == "client"} == {
        one.name for one in OPERATIONS if one.name not in {"search-distinct", "ingest"}
    }
    assert {"where", "rest"} <= {who for who, name in done if name == "add"}


def test_every_turn_has_a_rate_times_and_costs(found: Results) -> None:
    for turn in found.turns:
        assert turn.requests > 0
        assert turn.rate > 0
        assert 0 < turn.p50 <= turn.p95
        assert turn.service_cpu >= 0
        assert turn.store_cpu >= 0
    assert sum(turn.service_cpu for turn in found.turns if turn.contestant == "memapp") > 0
    assert sum(turn.store_cpu for turn in found.turns if turn.contestant == "rest") > 0


def test_all_find_what_brute_force_finds(found: Results) -> None:
    assert {one.contestant: one.recall for one in found.recalls} == {
        "memapp": 1.0,
        "client": 1.0,
        "where": 1.0,
    }


def test_memory_starts_and_the_generator_are_measured(found: Results) -> None:
    moments = {one.moment for one in found.memories if one.contestant == "memapp"}

    assert {"200/2 memories stored", "documents ingested", "at the end"} <= moments
    assert all(one.service > 10 for one in found.memories if one.contestant == "memapp")
    assert len(found.starts) == 1
    assert set(found.generator) == {"2"}
