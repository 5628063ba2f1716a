"""What is told about a run must be what was found."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.service.charts import draw
from benchmarks.service.command import main
from benchmarks.service.document import BEGIN, END, write_into
from benchmarks.service.goals import verdicts
from benchmarks.service.results import Memory, Recall, Results, Spread, Turn, ratio
from benchmarks.service.tables import report


def turn(
    contestant: str,
    rate: float,
    *,
    operation: str = "search",
    clients: int = 8,
    round: int = 0,  # noqa: A002 - as the field is called
    population: str = "10k/5",
    p50: float = 1.0,
    failures: int = 0,
) -> Turn:
    return Turn(
        population=population,
        operation=operation,
        clients=clients,
        contestant=contestant,
        round=round,
        requests=100,
        rate=rate,
        p50=p50,
        p95=2 * p50,
        failures=failures,
        first_failure="",
        service_cpu=0.5,
        store_cpu=1.5,
        generator_share=0.1,
    )


def results(*turns: Turn) -> Results:
    machine = {
        "size": "full",
        "population": "10k/5",
        "rounds": 2,
        "seconds": 1.0,
        "processors": "2 x some",
        "python": "3",
        "chromadb": "1",
        "gunicorn": "2",
        "revision": "abc",
        "began": "2026-01-01",
        "load_at_begin": "0 0 0",
    }
    return Results(machine=machine, turns=list(turns), generator={"8": 20_000.0})


def verdict_of(found: Results, what: str, against: str) -> bool | None:
    (verdict,) = [
        one for one in verdicts(found) if (one.goal.what, one.goal.against) == (what, against)
    ]
    return verdict.is_met


def test_a_ratio_compares_turns_of_the_same_round_only() -> None:
    ours = [turn("memapp", 100, round=0), turn("memapp", 90, round=1), turn("memapp", 1, round=2)]
    theirs = [turn("client", 50, round=1), turn("client", 100, round=0)]

    assert ratio(ours, theirs) == Spread(median=1.4, least=1.0, greatest=1.8)
    assert ratio(ours, []) is None


def test_a_goal_is_judged_by_the_median() -> None:
    turns = [turn("memapp", rate, round=i) for i, rate in enumerate([100, 151, 160])]
    turns += [turn("client", 100, round=i) for i in range(3)]

    assert verdict_of(results(*turns), "search, vectors cached, c8", "client") is True
    assert verdict_of(results(*turns), "search, vectors cached, c8", "mem0") is None
    assert verdict_of(results(*turns[1:]), "search, vectors cached, c8", "client") is True


def test_a_goal_that_was_missed_is_called_missed() -> None:
    found = results(turn("memapp", 149), turn("client", 100))

    assert verdict_of(found, "search, vectors cached, c8", "client") is False
    assert "MISSED" in report(found)


def test_growth_compares_the_largest_population_with_the_main_one() -> None:
    what, against = (
        "median time of a search in the largest population, c1",
        "memapp in the main one",
    )
    sizes = [("1k/5", 9.0), ("10k/5", 2.0), ("100k/1000", 2.9)]
    turns = [
        turn("memapp", 1, operation="growth", clients=1, population=label, p50=p50)
        for label, p50 in sizes
    ]

    assert verdict_of(results(*turns), what, against) is True
    assert verdict_of(results(*turns[:1], *turns[2:]), what, against) is None


def test_memory_recall_and_starts_are_judged_too() -> None:
    found = results()
    found.recalls.append(Recall("10k/50", "memapp", 10, 0.985))
    found.memories.append(Memory("memapp", "documents ingested", service=599, store=900))
    found.memories.append(Memory("memapp", "after 10 searches", service=100, store=1))
    found.memories.append(Memory("memapp", "after 20 searches", service=106, store=1))
    found.starts.extend([3.0, 3.9, 9.0])

    assert verdict_of(found, "recall@10 with 50 users", "brute force") is False
    assert verdict_of(found, "recall@10 with 5 users", "brute force") is None
    assert verdict_of(found, "memory of all workers after the ingest", "") is True
    assert verdict_of(found, "memory after all searches", "after the first sixth") is False
    assert verdict_of(found, "start to the first answered search", "") is True


def test_results_survive_the_way_through_a_file(tmp_path: Path) -> None:
    found = results(turn("memapp", 10), turn("client", 20))
    found.recalls.append(Recall("10k/5", "memapp", 10, 1.0))
    found.memories.append(Memory("memapp", "loaded", 1.0, 2.0))
    found.notes.append("mem0 at get: none")
    found.write(tmp_path / "run.json")

    assert Results.read(tmp_path / "run.json") == found


def test_failures_and_what_was_not_measured_are_told() -> None:
    found = results(turn("memapp", 10, failures=7), turn("client", 20))
    found.notes.append("mem0 at get: no such thing")

    text = report(found)

    assert "| memapp " in text
    assert "| 7 " in text
    assert "mem0 at get: no such thing" in text


def test_charts_are_drawn_of_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turns = [turn(name, rate) for name, rate in [("memapp", 900), ("client", 300), ("mem0", 30)]]
    turns += [turn("memapp", 300, clients=1)]
    turns += [
        turn("memapp", 1, operation="growth", clients=1, population=label)
        for label in ("1k/5", "10k/5")
    ]
    results(*turns).write(tmp_path / "run.json")

    status = main(["--show", str(tmp_path / "run.json"), "--charts", str(tmp_path / "charts")])

    assert status == 0
    assert "search, vectors cached, 8 clients" in capsys.readouterr().out
    drawn = {path.name: ElementTree.parse(path) for path in (tmp_path / "charts").iterdir()}  # noqa: S314 - our own
    assert set(drawn) == {"ratios.svg", "clients.svg", "growth.svg"}
    assert len(list(drawn["ratios.svg"].iter("{http://www.w3.org/2000/svg}title"))) == 2
    assert draw(results(), tmp_path / "none") == []


def test_an_unknown_name_is_refused_with_those_that_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "search,serch"])

    assert "unknown: serch; known are search," in capsys.readouterr().err


def test_results_replace_what_stood_between_the_marks(tmp_path: Path) -> None:
    document = tmp_path / "speed.md"
    document.write_text(f"# Speed\n\n{BEGIN}\nold\n{END}\n\nThe end.\n")

    for rate in (100.0, 200.0):
        write_into(document, results(turn("memapp", rate), turn("client", 50)))

    text = document.read_text()
    assert text.startswith("# Speed\n")
    assert text.endswith("The end.\n")
    assert "old" not in text
    assert text.count("![ratios](speed/ratios.svg)") == 1
    assert (tmp_path / "speed" / "ratios.svg").exists()


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "speed.md"
    document.write_text("# Speed\n")

    with pytest.raises(ValueError, match="must contain the lines"):
        write_into(document, results())

    assert document.read_text() == "# Speed\n"


def test_the_documented_results_have_a_place() -> None:
    write = (Path(__file__).parents[2] / "docs" / "performance.md").read_text("utf-8")

    assert write.index(BEGIN) < write.index(END)
