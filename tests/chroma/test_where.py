from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memapp.chroma.where import narrow, stamp, stored
from memapp.filters import And, Comparison, Filter, Not, Operator, Or, Scalar, matches

FIELDS = ("metadata.x", "metadata.y", "when")
OPERATORS: tuple[Operator, ...] = ("eq", "ne", "gt", "gte", "lt", "lte", "contains")
LISTED: tuple[Operator, ...] = ("in", "nin")

# Few values and many near misses: whole and broken, around zero, where floats stop being exact,
# where 64 bits end, and the same face in several types.
whole = [0, 1, -1, 2, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1]
broken = [0.0, 1.0, -0.5, 0.5, 1.5, -1.5, float(2**53), 1e300, -1e300, 5e-324]
numbers = st.sampled_from([*whole, 10**400, *broken])
words = st.sampled_from(["", "a", "ab", "1", "True", "ä", "A", "$eq", "%", "'"])
scalars = st.one_of(numbers, words, st.booleans())
lists = st.one_of(
    st.lists(words, min_size=1, max_size=2),
    st.lists(st.integers(-1, 2), min_size=1, max_size=2),
    st.lists(st.booleans(), min_size=1, max_size=2),
)
times = st.sampled_from(
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
)
records = st.fixed_dictionaries(
    {}, optional={"metadata.x": st.one_of(scalars, lists), "metadata.y": scalars, "when": times}
)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    field = draw(st.sampled_from(FIELDS))
    value = times if field == "when" else scalars
    if draw(st.booleans()):
        op: Operator = draw(st.sampled_from(LISTED))
        return Comparison(field, op, tuple(draw(st.lists(value, min_size=1, max_size=3))))
    if draw(st.booleans()) and draw(st.booleans()):
        return Comparison(field, "exists", draw(st.booleans()))
    return Comparison(field, draw(st.sampled_from(OPERATORS)), draw(value))


filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)


def name_of(field: str) -> str | None:
    return field.replace("metadata.", "m.")


def as_stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return stamp(value)
    return value if isinstance(value, list) else stored(value)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    path: Path = tmp_path_factory.mktemp("where")
    client = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
    return client.create_collection("records", embedding_function=None)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(records, min_size=1, max_size=8), st.lists(filters, min_size=1, max_size=12))
def test_narrowing_never_loses_a_match(
    collection: Collection, population: list[Mapping[str, Any]], conditions: list[Filter]
) -> None:
    ids = [str(i) for i in range(len(population))]
    collection.delete(ids=[str(i) for i in range(8)])
    collection.add(
        ids=ids,
        embeddings=np.ones((len(ids), 2), np.float32),
        metadatas=[
            {"there": 1} | {str(name_of(k)): as_stored(v) for k, v in record.items()}
            for record in population
        ],
    )

    for condition in conditions:
        where = narrow(condition, name_of)
        if where is None:
            continue
        got = set(collection.get(where=dict(where), include=[])["ids"])
        wanted = {i for i, record in zip(ids, population, strict=True) if holds(condition, record)}
        assert wanted <= got, (condition, where)


def holds(condition: Filter, record: Mapping[str, Any]) -> bool:
    return matches(condition, record.get)


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        (Comparison("metadata.x", "eq", "a"), {"m.x": {"$in": ["a"]}}),
        (Comparison("metadata.x", "gt", 1.5), {"m.x": {"$gt": 1}}),
        (Comparison("metadata.x", "lt", -1.5), {"m.x": {"$lt": -1}}),
        (
            Comparison("when", "gte", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
            {"when": {"$gte": 1_000_000}},
        ),
        (
            Comparison("metadata.x", "in", ("a", 1, 2.0)),
            {"$or": [{"m.x": {"$in": ["a"]}}, {"m.x": {"$in": [1, 2]}}]},
        ),
        (Not(Comparison("metadata.x", "eq", value=True)), {"m.x": {"$nin": [True]}}),
        (
            And((Comparison("metadata.x", "contains", "a"), Comparison("metadata.y", "eq", 1))),
            {"m.y": {"$in": [1]}},
        ),
        (
            Not(Or((Comparison("metadata.x", "eq", "a"), Comparison("metadata.y", "ne", 1)))),
            {"$and": [{"m.x": {"$nin": ["a"]}}, {"m.y": {"$in": [1]}}]},
        ),
    ],
)
def test_what_chroma_can_say_is_pushed_down(condition: Filter, where: Mapping[str, Any]) -> None:
    assert narrow(condition, name_of) == where


@pytest.mark.parametrize(
    "condition",
    [
        Comparison("metadata.x", "contains", "a"),
        Comparison("metadata.x", "exists", value=True),
        Comparison("metadata.x", "gt", "a"),
        Comparison("metadata.x", "eq", 2**53 + 1),
        Comparison("metadata.x", "ne", 1.5),
        Not(Comparison("metadata.x", "gt", 1)),
        Or((Comparison("metadata.x", "eq", 1), Comparison("metadata.x", "contains", "a"))),
        Or(()),
        And(()),
    ],
)
def test_what_chroma_cannot_say_is_left_to_the_caller(condition: Filter) -> None:
    assert narrow(condition, name_of) is None


def test_a_field_that_is_not_stored_is_left_to_the_caller() -> None:
    value: Scalar = "a"
    assert narrow(Comparison("speaker", "eq", value), lambda _: None) is None
