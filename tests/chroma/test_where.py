from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from chromadb.api.models.Collection import Collection
from chromadb.config import Settings
from hypothesis import given, settings
from hypothesis import strategies as st

from memapp.chroma.where import narrow, stamp, stored
from memapp.filters import And, Comparison, Filter, Not, Operator, Or, Scalar, matches

OPERATORS: tuple[Operator, ...] = ("eq", "ne", "gt", "gte", "lt", "lte", "contains")
LISTED: tuple[Operator, ...] = ("in", "nin")

# Near misses: whole and broken, around zero, where floats stop being exact, where 64 bits end, and
# the same face in several types.
WHOLE = [0, 1, -1, 2, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), 10**400]
BROKEN = [0.0, 1.0, -0.5, 0.5, 1.5, -1.5, float(2**53), 1e300, -1e300, 5e-324]
# Chroma reads these as their neighbours, among which there are whole ones.
DRIFTING = [1801439850948199.0, 9007199254740991.0, -2060506908940115.0, 99.99999999999999]
WORDS = ["", "a", "ab", "1", "True", "ä", "A", "$eq", "%", "'"]
SCALARS: list[Scalar] = [*WHOLE, *BROKEN, *DRIFTING, *WORDS, True, False]
LISTS: list[Any] = [["a"], ["ab", "1"], [1], [0, 2], [1.5, 1.0], [True], [False, True]]
TIMES: list[Scalar] = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 31, 12, tzinfo=UTC),
    datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]
XS = [*SCALARS, *LISTS, None]
RECORDS: list[Mapping[str, Any]] = [
    {"metadata.x": x, "metadata.y": SCALARS[i % 7], "when": [*TIMES, None][i % 5]}
    for i, x in enumerate(XS)
]


def every_comparison() -> Iterator[Comparison]:
    for field, values in (("metadata.x", SCALARS), ("when", TIMES)):
        for value in values:
            yield from (Comparison(field, op, value) for op in OPERATORS)
            yield from (Comparison(field, op, (value, values[0])) for op in LISTED)
        yield from (Comparison(field, op, tuple(values)) for op in LISTED)
        yield from (Comparison(field, "exists", value) for value in (True, False))


def comparisons() -> st.SearchStrategy[Filter]:
    ys = st.builds(Comparison, st.just("metadata.y"), st.sampled_from(OPERATORS), scalars)
    return st.one_of(st.sampled_from(list(every_comparison())), ys)


scalars = st.sampled_from(SCALARS)
filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)


def names_of(field: str) -> Sequence[str]:
    return [field.replace("metadata.", "m.")]


def as_stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return stamp(value)
    return value if isinstance(value, list) else stored(value)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    path: Path = tmp_path_factory.mktemp("where")
    client = chromadb.PersistentClient(path, settings=Settings(anonymized_telemetry=False))
    records = client.create_collection("records", embedding_function=None)
    records.add(
        ids=[str(i) for i in range(len(RECORDS))],
        embeddings=np.ones((len(RECORDS), 2), np.float32),
        metadatas=[
            {names_of(k)[0]: as_stored(v) for k, v in record.items() if v is not None}
            for record in RECORDS
        ],
    )
    return records


def lost(collection: Collection, condition: Filter) -> list[Mapping[str, Any]]:
    """Return the records the filter accepts and the narrowed clause does not."""
    where = narrow(condition, names_of)
    if where is None:
        return []
    got = collection.get(where=dict(where), include=[])["ids"]
    return [r for i, r in enumerate(RECORDS) if matches(condition, r.get) and str(i) not in got]


def test_narrowing_a_comparison_never_loses_a_match(collection: Collection) -> None:
    losing = {c: found for c in every_comparison() if (found := lost(collection, c))}

    assert losing == {}


def test_a_number_stored_as_the_bound_of_a_range_is_not_lost(collection: Collection) -> None:
    stored_as = collection.get(where={"m.x": 100}, include=[])["ids"]
    assert [RECORDS[int(one)]["metadata.x"] for one in stored_as] == [99.99999999999999]
    assert lost(collection, Comparison("metadata.x", "lt", 100)) == []


@settings(max_examples=300, deadline=None)
@given(filters)
def test_narrowing_a_tree_of_conditions_never_loses_a_match(
    collection: Collection, condition: Filter
) -> None:
    assert lost(collection, condition) == []


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        (Comparison("metadata.x", "eq", "a"), {"m.x": {"$in": ["a"]}}),
        (Comparison("metadata.x", "gt", 1.5), {"m.x": {"$gte": 1}}),
        (
            Comparison("metadata.x", "eq", 1801439850948199.0),
            {"$and": [{"m.x": {"$gte": 1801439850948195}}, {"m.x": {"$lte": 1801439850948203}}]},
        ),
        (Comparison("metadata.x", "lt", -1.5), {"m.x": {"$lte": -1}}),
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
    assert narrow(condition, names_of) == where


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
    assert narrow(condition, names_of) is None


def test_a_field_that_is_not_stored_is_left_to_the_caller() -> None:
    assert narrow(Comparison("speaker", "eq", "a"), lambda _: ()) is None


@pytest.mark.parametrize(
    ("op", "where"),
    [
        ("lt", {"$or": [{"day": {"$lt": 0}}, {"any": {"$lt": 0}}]}),
        ("eq", {"$or": [{"day": {"$in": [0]}}, {"any": {"$in": [0]}}]}),
        ("ne", {"$and": [{"day": {"$nin": [0]}}, {"any": {"$nin": [0]}}]}),
    ],
)
def test_a_field_that_is_stored_under_one_of_two_keys_is_asked_for_under_both(
    op: Operator, where: Mapping[str, Any]
) -> None:
    condition = Comparison("occurred_at", op, datetime(1970, 1, 1, tzinfo=UTC))
    assert narrow(condition, lambda _: ("day", "any")) == where
