"""The retrieval benchmark on data sets small enough to know every answer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from benchmarks.retrieval.command import main
from benchmarks.retrieval.data_sets import (
    Collection,
    Conversations,
    MarkedTexts,
    NoDataSet,
    read_data_set,
    read_data_sets,
)
from benchmarks.retrieval.exhaustive import Exhaustive
from benchmarks.retrieval.literal_cases import literal_cases
from benchmarks.retrieval.measuring import measure
from benchmarks.retrieval.results import Row
from benchmarks.retrieval.tables import chart, markdown

_Item = TypeVar("_Item")


def unwatched(items: Sequence[_Item], description: str) -> Iterator[_Item]:
    yield from items


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_qrels(path: Path, *answers: tuple[str, str]) -> None:
    lines = ["query-id\tcorpus-id\tscore", *(f"{query}\t{found}\t1" for query, found in answers)]
    path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a data set of each kind."""
    talk = tmp_path / "talk"
    talk.mkdir()
    said = ["I bought a red bicycle.", "Lovely! Was it expensive?", "The weather is fine."]
    turns = [
        {
            "id": f"c|{number}",
            "conv": "c",
            "session": 1,
            "speaker": "Ann",
            "iso": "2023-05-08T13:56:00",
            "text": text,
        }
        for number, text in enumerate(said)
    ]
    write_rows(talk / "corpus.jsonl", turns)
    asked = [
        {"id": "q1", "conv": "c", "text": "What did Ann buy?", "category": 4},
        {"id": "q2", "conv": "c", "text": "Did Bob buy a red bicycle?", "category": 5},
        {"id": "q3", "conv": "c", "text": "Nobody knows?", "category": 4},
    ]
    write_rows(talk / "queries.jsonl", asked)
    write_qrels(talk / "qrels.tsv", ("q1", "c|0"), ("q2", "c|0"))
    library = tmp_path / "library"
    library.mkdir()
    documents = [
        {"id": "a", "title": "On\r cats", "text": "Cats sleep all day."},
        {"id": "b", "title": "On dogs", "text": ""},
        {"id": "c", "title": "", "text": ""},
    ]
    write_rows(library / "corpus.jsonl", documents)
    write_rows(library / "queries.jsonl", [{"id": "q", "text": "Who sleeps all day?"}])
    write_qrels(library / "qrels.tsv", ("q", "a"))
    marked = tmp_path / "marked"
    marked.mkdir()
    (marked / "tale.md").write_bytes(b"Once there was a king.\r\nHis crown was of glass.")
    question = {
        "question": "What was the crown made of?",
        "document": "tale",
        "references": [{"start": 24, "end": 47, "text": "His crown was of glass."}],
    }
    write_rows(marked / "questions.jsonl", [question])
    return tmp_path


def headline(rows: Sequence[Row], ranking: str) -> Mapping[str, float]:
    return next(row.figures for row in rows if row.ranking == ranking and not row.part)


def test_each_kind_of_data_set_is_read_for_what_it_is(folder: Path) -> None:
    library, marked, talk = read_data_sets(folder)
    assert isinstance(library, Collection)
    assert isinstance(marked, MarkedTexts)
    assert isinstance(talk, Conversations)
    assert [document.title for document in library.documents] == ["On cats", "On dogs"]
    assert [document.text for document in library.documents] == ["Cats sleep all day.", "On dogs"]
    assert [query.id for query in talk.queries] == ["q1", "q2"]
    start, end = marked.queries[0].answers[0]
    assert marked.documents[0].text[start:end] == "His crown was of glass."


def test_one_data_set_can_be_named_alone(folder: Path) -> None:
    assert [data.name for data in read_data_sets(folder / "talk")] == ["talk"]


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoDataSet, match="holds no data set"):
        read_data_sets(tmp_path)


def test_a_folder_that_is_not_there_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere")]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "must hold corpus.jsonl, queries.jsonl and qrels.tsv" in line


def test_questions_without_an_answer_are_no_part_of_the_headline(folder: Path) -> None:
    rows, stored = measure(Exhaustive(), read_data_set(folder / "talk"), unwatched)
    hybrid = [row for row in rows if row.ranking == "hybrid"]
    assert [(row.part, row.queries) for row in hybrid] == [
        ("", 1),
        ("single-hop", 1),
        ("adversarial", 1),
    ]
    assert stored.items == 3


def test_right_answers_score_a_hundred(folder: Path) -> None:
    for name in ("talk", "library"):
        rows, _ = measure(Exhaustive(), read_data_set(folder / name), unwatched)
        assert headline(rows, "hybrid")["R@1"] == 100
    rows, _ = measure(Exhaustive(), read_data_set(folder / "marked"), unwatched)
    assert headline(rows, "hybrid")["recall@5"] == 100


def test_a_literal_string_is_found_first_where_meaning_alone_misses_most() -> None:
    cases = literal_cases()
    assert len(cases.queries) >= 30
    rows, _ = measure(Exhaustive(), cases, unwatched)
    assert headline(rows, "hybrid")["R@1"] == 100
    assert headline(rows, "meaning only")["R@1"] < 50


def test_the_command_measures_a_memapp_that_it_starts_itself(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.retrieval.command.literal_cases", _small_cases)
    results, picture = tmp_path / "results.json", tmp_path / "chart.svg"
    status = main(
        [str(folder), "--passages", "400/0", "--json", str(results), "--chart", str(picture)]
    )
    assert status == 0
    rows = [Row(**row) for row in json.loads(results.read_text("utf-8"))["rows"]]
    names = {(row.data_set, row.ranking) for row in rows}
    assert ("marked", "hybrid (400/0)") in names
    for name in ("talk", "library"):
        own = [row for row in rows if row.data_set == name]
        assert headline(own, "hybrid")["R@1"] == 100
    assert "| hybrid, no speaker boost | 1 |" in capsys.readouterr().out
    assert picture.read_text("utf-8").startswith("<svg")


def test_tables_show_every_row_and_charts_only_the_plain_headlines() -> None:
    rows = [
        Row("talk", "hybrid", "", 3, {"R@10": 81.25}, (1.0, 2.0)),
        Row("talk", "hybrid", "temporal", 1, {"R@10": 12.5}, (1.0, 2.0)),
    ]
    assert "| hybrid: temporal | 1 | 12.5 | 1.0 / 2.0 |" in markdown(rows, [])
    assert chart(rows).count("<rect") == 2
    assert "81.2" in chart(rows)


def _small_cases() -> Collection:
    cases = literal_cases()
    return Collection("literal", cases.documents[:3], cases.queries[:1])
