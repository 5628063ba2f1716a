"""Read data sets: conversations, collections of documents, and texts with marked answers.

A folder holds `corpus.jsonl` (`id`, `text`, `title`?; turns of conversations also `conv`,
`speaker`, `session`, `iso`), `queries.jsonl` (`id`, `text`; of conversations also `conv`,
`category`) and `qrels.tsv` (BEIR's: a header, then query, corpus id, score); or whole texts
(`*.md`) with `questions.jsonl` (`question`, `document`, `references` with `start` and `end`).
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.retrieval.metrics import Stretch


@dataclass(frozen=True, slots=True)
class Turn:
    """What one person said; `occurred_at` is RFC 3339."""

    id: str
    conversation: str
    session: str
    speaker: str
    occurred_at: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A question and the ids that answer it.

    Attributes:
        id: Its name in the data set.
        text: The question.
        relevant: Ids of turns or documents; never empty.
        conversation: Whose memories it asks; empty where there are no conversations.
        category: The data set's own kind of question; 0 if it has none.
    """

    id: str
    text: str
    relevant: frozenset[str]
    conversation: str = ""
    category: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A document to be ingested."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A question whose answer is marked in one text."""

    text: str
    document: str
    answers: Sequence[Stretch]


@dataclass(frozen=True, slots=True)
class Conversations:
    """Turns of conversations, and questions about them."""

    name: str
    turns: Sequence[Turn]
    queries: Sequence[Query]


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, and questions that some of them answer."""

    name: str
    documents: Sequence[Text]
    queries: Sequence[Query]


@dataclass(frozen=True, slots=True)
class MarkedTexts:
    """Long texts, and questions with the stretches that answer them."""

    name: str
    documents: Sequence[Text]
    queries: Sequence[Marked]


DataSet = Conversations | Collection | MarkedTexts


class NoDataSet(ValueError):
    """A folder holds no data set; says what one must hold."""


def read_data_sets(folder: Path) -> list[DataSet]:
    """Read the data set in a folder, or all those in its folders, by name.

    Raises:
        NoDataSet: there is none.
    """
    folders = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
    found = folders[:1] if _is_data_set(folder) else list(filter(_is_data_set, folders))
    if not found:
        message = (
            f"{folder} holds no data set: it, or a folder in it, must hold corpus.jsonl, "
            "queries.jsonl and qrels.tsv, or *.md and questions.jsonl (docs/retrieval.md)"
        )
        raise NoDataSet(message)
    return [read_data_set(one) for one in found]


def read_data_set(folder: Path) -> DataSet:
    """Read the data set in a folder."""
    if (folder / "questions.jsonl").exists():
        return _marked_texts(folder)
    rows = _rows(folder / "corpus.jsonl")
    queries = _queries(folder)
    if "conv" in rows[0]:
        return Conversations(folder.name, [_turn(row) for row in rows], queries)
    # Cranfield has abstracts of which neither title nor text is left: nothing can find them.
    documents = [document for document in map(_text, rows) if document.text]
    return Collection(folder.name, documents, queries)


def _is_data_set(folder: Path) -> bool:
    return (folder / "queries.jsonl").exists() or (folder / "questions.jsonl").exists()


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _turn(row: Mapping[str, Any]) -> Turn:
    return Turn(
        id=row["id"],
        conversation=row["conv"],
        session=str(row["session"]),
        speaker=row["speaker"],
        occurred_at=row["iso"] + "Z",
        text=row["text"],
    )


def _text(row: Mapping[str, Any]) -> Text:
    # Where the text is missing, its title is all that is left of a document.
    title = " ".join(row.get("title", "").split())
    return Text(row["id"], title, row["text"] or title)


def _queries(folder: Path) -> list[Query]:
    """Read the queries that anything answers."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]:
        query, found, score = line.split("\t")
        if int(score) > 0:
            relevant[query].add(found)
    return [
        Query(
            id=row["id"],
            text=row["text"],
            relevant=frozenset(relevant[row["id"]]),
            conversation=row.get("conv", ""),
            category=row.get("category", 0),
        )
        for row in _rows(folder / "queries.jsonl")
        if row["id"] in relevant
    ]


def _marked_texts(folder: Path) -> MarkedTexts:
    return MarkedTexts(
        name=folder.name,
        documents=[
            Text(path.stem, "", path.read_bytes().decode("utf-8"))
            for path in sorted(folder.glob("*.md"))
        ],
        queries=[
            Marked(
                text=row["question"],
                document=row["document"],
                answers=[(one["start"], one["end"]) for one in row["references"]],
            )
            for row in _rows(folder / "questions.jsonl")
        ],
    )
