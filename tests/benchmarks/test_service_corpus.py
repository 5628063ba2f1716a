"""Texts, calls and costs: the same for everybody, and nothing used twice."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.service import texts
from benchmarks.service.calls import Call, dump_calls, load_calls
from benchmarks.service.corpus import Corpus, chunks
from benchmarks.service.operations import OPERATIONS, Operation, Progress, advance, calls_for
from benchmarks.service.processes import cpu_seconds, pss_megabytes, tree
from memapp.embedders.minilm.embedder import MiniLMEmbedder


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(
        memories=40,
        users=4,
        additions=10,
        questions=3,
        documents=1,
        document_characters=3000,
        cache=tmp_path,
    )


def operation(name: str) -> Operation:
    return next(one for one in OPERATIONS if one.name == name)


def take(corpus: Corpus, name: str, progress: Progress, *, clients: int = 2) -> list[list[Call]]:
    return calls_for(operation(name), corpus, progress, clients=clients, amount=20, seed="s")


def test_no_two_memories_and_no_two_questions_are_alike() -> None:
    assert len({texts.memory(number) for number in range(20_000)}) == 20_000
    assert len({texts.question(number) for number in range(20_000)}) == 20_000


def test_a_document_has_the_length_asked_for() -> None:
    assert len(texts.document(7, 5000)) == 5000
    assert len(chunks(texts.document(7, 5000))) > 3


def test_vectors_are_read_back_from_the_cache(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = corpus.vectors
    monkeypatch.setattr(MiniLMEmbedder, "embed_documents", None)
    again = replace(corpus).vectors

    assert first.shape == (40 + 10 + 3 + len(corpus.chunks), 384)
    assert np.array_equal(first, again)


def test_the_nearest_memories_are_the_users_own(corpus: Corpus) -> None:
    own = {texts.memory(number) for number in range(1, 40, 4)}

    assert corpus.nearest(1, 0, 10) == own
    assert corpus.nearest(1, 0, 3) < own


def test_a_population_is_named_in_short(corpus: Corpus) -> None:
    assert corpus.label == "40/4"


@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
def test_the_same_seed_gives_everybody_the_same_calls(corpus: Corpus, name: str) -> None:
    amount = take(corpus, name, Progress(addition=40), clients=1)

    assert amount == take(corpus, name, Progress(addition=40), clients=1)


@pytest.mark.parametrize("name", ["add", "batch", "mix-20"])
def test_no_memory_is_added_twice(corpus: Corpus, name: str) -> None:
    progress = Progress(addition=40)
    added: list[str] = []
    for _ in range(3):
        calls = take(corpus, name, progress)
        added += [
            text
            for client in calls
            for call in client
            for text in call.texts
            if call.kind in {"add", "batch"}
        ]
        advance(progress, operation(name).shares, 40)

    assert added
    assert len(set(added)) == len(added)
    assert not set(added) & {texts.memory(number) for number in range(40)}


def test_no_memory_is_deleted_twice_and_none_is_asked_for_afterwards(corpus: Corpus) -> None:
    progress = Progress(addition=40)
    deleted = []
    for _ in range(2):
        calls = calls_for(operation("delete"), corpus, progress, clients=1, amount=5, seed="s")
        deleted += [call.number for client in calls for call in client]
        advance(progress, operation("delete").shares, 5)
    asked = {call.number for client in take(corpus, "get", progress) for call in client}

    assert len(set(deleted)) == 10
    assert not asked & set(deleted)


def test_distinct_searches_have_no_given_vector_and_never_repeat(corpus: Corpus) -> None:
    progress = Progress(addition=40)
    asked: list[str] = []
    for _ in range(2):
        for client in take(corpus, "search-distinct", progress):
            assert all(not call.rows for call in client)
            asked += [call.texts[0] for call in client]
        advance(progress, operation("search-distinct").shares, 40)

    assert len(set(asked)) == len(asked) == 80


def test_calls_survive_the_way_to_another_process(corpus: Corpus) -> None:
    calls = take(corpus, "batch", Progress(addition=40)) + take(
        corpus, "search-hybrid", Progress(0)
    )

    assert load_calls(dump_calls(calls)) == calls


def test_the_cost_of_a_child_counts_and_its_parent_is_the_root() -> None:
    spin = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", f"print('ready', flush=True)\n{parent}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.pid in tree(process.pid)
        while cpu_seconds([process.pid]) < 0.2:
            assert process.poll() is None
        assert pss_megabytes([process.pid]) > 1
        process.communicate(b"\n")

    assert cpu_seconds([process.pid]) == 0
    assert pss_megabytes([process.pid]) == 0
