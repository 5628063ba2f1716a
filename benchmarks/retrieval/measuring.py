"""Load a data set into memapp, ask its questions in several ways, and score the answers."""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from benchmarks.retrieval.data_sets import (
    Collection,
    Conversations,
    DataSet,
    MarkedTexts,
    Query,
    Turn,
)
from benchmarks.retrieval.metrics import coverage, ndcg_at, recall_at, reciprocal_rank
from benchmarks.retrieval.results import Ingested, Row, mean_percent, median_and_95th
from benchmarks.retrieval.service import Mode, Passage, Searched

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
"""LoCoMo's kinds of questions; those of the last have no answer and are no part of the headline."""

_ADVERSARIAL = 5
_BATCH = 500
_DEPTH = 20
# Several passages can belong to one document.
_PASSAGES = 60

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")
_Figures = Mapping[str, float]


class Watch(Protocol):
    """Shows progress while items are gone through."""

    def __call__(self, items: Sequence[_Item], description: str) -> Iterator[_Item]:
        """Return the items one by one."""
        ...


@dataclass(frozen=True, slots=True)
class Ranking:
    """One way of searching.

    Attributes:
        name: What it is called in tables.
        mode: As in the API.
        speaker_boost: As in the API.
        in_sessions: Whether the memories were stored with their `session_id`.
    """

    name: str
    mode: Mode
    speaker_boost: bool = True
    in_sessions: bool = True


RANKINGS = (
    Ranking("words only", "keyword"),
    Ranking("meaning only", "semantic"),
    Ranking("hybrid", "hybrid"),
)
"""How every data set is searched."""

CONVERSATION_RANKINGS = (
    Ranking("hybrid, no speaker boost", "hybrid", speaker_boost=False),
    Ranking("hybrid, no conversations", "hybrid", speaker_boost=False, in_sessions=False),
)
"""How memories of conversations are searched besides."""


def measure(service: Searched, data: DataSet, watch: Watch) -> tuple[list[Row], Ingested]:
    """Measure one data set; what was stored for it is removed afterwards."""
    match data:
        case Conversations():
            return _measure_conversations(service, data, watch)
        case Collection():
            return _measure_collection(service, data, watch)
        case MarkedTexts():
            return _measure_marked_texts(service, data, watch)


def _measure_conversations(
    service: Searched, data: Conversations, watch: Watch
) -> tuple[list[Row], Ingested]:
    stored = {
        in_sessions: _StoredConversations(service, in_sessions=in_sessions)
        for in_sessions in (True, False)
    }
    rows = []
    try:
        began = time.perf_counter()
        stored[True].store(data, watch)
        ingested = Ingested(data.name, len(data.turns), time.perf_counter() - began)
        stored[False].store(data, watch)
        for ranking in (*RANKINGS, *CONVERSATION_RANKINGS):
            memories = stored[ranking.in_sessions]
            progress = watch(data.queries, f"{data.name}: {ranking.name}")
            answers = [_timed(memories.ask, query, ranking) for query in progress]
            rows += _conversation_rows(data, ranking.name, answers)
    finally:
        for memories in stored.values():
            memories.forget()
    return rows, ingested


class _StoredConversations:
    """The turns of conversations as memories, each conversation a user of its own."""

    def __init__(self, service: Searched, *, in_sessions: bool) -> None:
        self._service = service
        self._in_sessions = in_sessions
        self._prefix = f"retrieval-{uuid.uuid4().hex}-"
        self._users: set[str] = set()
        # Turns of one text, speaker, session and time are one memory.
        self._turns_of: dict[str, list[str]] = defaultdict(list)

    def store(self, data: Conversations, watch: Watch) -> None:
        batches = [data.turns[at : at + _BATCH] for at in range(0, len(data.turns), _BATCH)]
        for batch in watch(batches, f"{data.name}: store"):
            self._users |= {self._prefix + turn.conversation for turn in batch}
            ids = self._service.remember([self._memory(turn) for turn in batch])
            for one, turn in zip(ids, batch, strict=True):
                self._turns_of[one].append(turn.id)

    def ask(self, query: Query, ranking: Ranking) -> list[str]:
        found = self._service.recall(
            self._prefix + query.conversation,
            query.text,
            limit=_DEPTH,
            mode=ranking.mode,
            speaker_boost=ranking.speaker_boost,
        )
        return [turn for memory in found for turn in self._turns_of[memory]]

    def forget(self) -> None:
        for user in self._users:
            self._service.forget(user)

    def _memory(self, turn: Turn) -> dict[str, Any]:
        memory = {
            "user_id": self._prefix + turn.conversation,
            "text": turn.text,
            "speaker": turn.speaker,
            "occurred_at": turn.occurred_at,
        }
        return memory | {"session_id": turn.session} if self._in_sessions else memory


def _conversation_rows(
    data: Conversations, ranking: str, answers: Sequence[tuple[list[str], float]]
) -> list[Row]:
    """Return a row for all questions that have an answer, and one for each category."""
    scored = [
        (query.category, _figures(found, query.relevant), seconds)
        for query, (found, seconds) in zip(data.queries, answers, strict=True)
    ]
    answered = [one for one in scored if one[0] != _ADVERSARIAL]
    rows = [_row(data.name, ranking, "", answered)]
    for category, name in CATEGORIES.items():
        of_category = [one for one in scored if one[0] == category]
        if of_category:
            rows.append(_row(data.name, ranking, name, of_category))
    return rows


def _row(data: str, ranking: str, part: str, scored: Sequence[tuple[int, _Figures, float]]) -> Row:
    return Row(
        data,
        ranking,
        part,
        len(scored),
        mean_percent([figures for _, figures, _ in scored]),
        median_and_95th([seconds for _, _, seconds in scored]),
    )


def _measure_collection(
    service: Searched, data: Collection, watch: Watch
) -> tuple[list[Row], Ingested]:
    name = f"retrieval-{uuid.uuid4().hex}"
    rows = []
    try:
        began = time.perf_counter()
        for document in watch(data.documents, f"{data.name}: ingest"):
            service.ingest(name, document.id, document.title, document.text)
        ingested = Ingested(data.name, len(data.documents), time.perf_counter() - began)
        for ranking in RANKINGS:
            scored = []
            for query in watch(data.queries, f"{data.name}: {ranking.name}"):
                passages, seconds = _timed(
                    service.retrieve, name, query.text, limit=_PASSAGES, mode=ranking.mode
                )
                found = list(dict.fromkeys(passage.document for passage in passages))
                scored.append((0, _figures(found, query.relevant), seconds))
            rows.append(_row(data.name, ranking.name, "", scored))
    finally:
        service.drop(name)
    return rows, ingested


def _measure_marked_texts(
    service: Searched, data: MarkedTexts, watch: Watch
) -> tuple[list[Row], Ingested]:
    name = f"retrieval-{uuid.uuid4().hex}"
    rows = []
    try:
        began = time.perf_counter()
        for document in watch(data.documents, f"{data.name}: ingest"):
            service.ingest(name, document.id, document.title, document.text)
        ingested = Ingested(data.name, len(data.documents), time.perf_counter() - began)
        _check_offsets(service, name, data)
        for ranking in RANKINGS:
            scored = []
            for query in watch(data.queries, f"{data.name}: {ranking.name}"):
                passages, seconds = _timed(
                    service.retrieve, name, query.text, limit=10, mode=ranking.mode
                )
                figures = _coverage_figures(passages, query.document, query.answers)
                scored.append((0, figures, seconds))
            rows.append(_row(data.name, ranking.name, "", scored))
    finally:
        service.drop(name)
    return rows, ingested


def _check_offsets(service: Searched, collection: str, data: MarkedTexts) -> None:
    """Make sure that passages count characters as the marked answers do."""
    for document in data.documents:
        if service.stored_text(collection, document.id) != document.text:
            message = f"the stored text of {document.id} is not the text that was sent"
            raise RuntimeError(message)


def _figures(found: Sequence[str], relevant: frozenset[str]) -> dict[str, float]:
    figures = {f"R@{limit}": recall_at(limit, found, relevant) for limit in (1, 5, 10, 20)}
    figures["nDCG@10"] = ndcg_at(10, found, relevant)
    figures["MRR"] = reciprocal_rank(found, relevant)
    return figures


def _coverage_figures(
    passages: Sequence[Passage], document: str, answers: Sequence[tuple[int, int]]
) -> dict[str, float]:
    figures = {}
    for limit in (5, 10):
        first = passages[:limit]
        covered = coverage(
            [(p.start, p.end) for p in first if p.document == document],
            answers,
            elsewhere=sum(p.end - p.start for p in first if p.document != document),
        )
        figures[f"recall@{limit}"] = covered.recall
        if limit == 5:
            figures["precision@5"] = covered.precision
            figures["IoU@5"] = covered.iou
    figures["characters"] = (
        sum(p.end - p.start for p in passages) / len(passages) / 100 if passages else 0.0
    )
    return figures


def _timed(
    ask: Callable[..., _Answer], *arguments: object, **options: object
) -> tuple[_Answer, float]:
    """Return an answer, and how many seconds it took."""
    began = time.perf_counter()
    answer = ask(*arguments, **options)
    return answer, time.perf_counter() - began
