"""Filters in Chroma's `where` language, as far as that language can say them.

`narrow` never loses a record that `filters.matches` accepts, but for one whose float Chroma stores
as the very integer that the filter rules out; it may let others through, so callers apply
`filters.matches` to what comes back. How Chroma 1.5.9 compares was measured, embedded and over HTTP
alike: `$ne` and `$nin` hold for records without the key; kinds are told apart, but integers and
floats are one kind; an operand that is a float is cut to an integer before it is compared with a
stored integer (`1 < 1.5` is false), and an integer is rounded to a float before it is compared with
a stored float. Only numbers can be ordered. One random float in seven is stored as a neighbour of
itself, at most 4 units in the last place away: Chroma writes floats as JSON, and reads those of
many digits quickly, not exactly.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeGuard

from memapp.filters import And, Comparison, Filter, Not, Operator, Or, Scalar

Where = Mapping[str, Any]
"""A Chroma `where` clause."""

NamesOf = Callable[[str], Sequence[str]]
"""Gives the metadata keys that a filter's field may be stored under; none if it is not stored."""

EXACT = 2**53
"""Up to here every integer is a float too (IEEE 754 double)."""

_DRIFT = 16
"""Units in the last place that a stored float may be away from what it was: four times the most
that was seen among 24,000 random ones."""

_EXACT_TENS = 22
"""Powers of ten up to this one are floats themselves."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_NEGATED: Mapping[Operator, Operator] = {"eq": "ne", "ne": "eq", "in": "nin", "nin": "in"}


def stamp(moment: datetime) -> int:
    """Return a time as it must be stored to be filtered: microseconds since 1970, UTC, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def unstamp(stamped: int) -> datetime:
    """Return the time (UTC) that `stamp` made a number of."""
    return _EPOCH + stamped * _MICROSECOND


def stored(value: str | float) -> str | int | float | bool:
    """Return a scalar as it must be stored to be filtered: a number that fits into 64 bits."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return 2.0**63 if value > 0 else -(2.0**63)
    return value


def narrow(condition: Filter, names_of: NamesOf) -> Where | None:
    """Translate a filter into a `where` that holds at least for all records the filter accepts.

    Args:
        condition: The filter.
        names_of: The stored keys of each field. Under one of them lies the field's scalar as
            `stored` gives it, its time as `stamp` gives it, its list as it is or left out, or
            nothing; under the others nothing.

    Returns:
        None where Chroma's language cannot narrow at all.
    """
    match condition:
        case And(parts):
            return _all_of([narrow(part, names_of) for part in parts])
        case Or(parts):
            return _any_of([narrow(part, names_of) for part in parts])
        case Not(part):
            opposite = _negation(part)
            return None if opposite is None else narrow(opposite, names_of)
        case Comparison(field, op, value):
            said = [_compared(name, op, value) for name in names_of(field)]
            return _all_of(said) if op in {"ne", "nin"} else _any_of(said)


def _negation(condition: Filter) -> Filter | None:
    """Return the opposite of a filter without `Not`, or None if that has no operator."""
    match condition:
        case And(parts):
            return Or(tuple(Not(part) for part in parts))
        case Or(parts):
            return And(tuple(Not(part) for part in parts))
        case Not(part):
            return part
        case Comparison(field, op, value):
            # The opposite of `gt` is not `lte`: it also holds for other kinds and missing fields.
            return Comparison(field, _NEGATED[op], value) if op in _NEGATED else None


def _all_of(parts: Sequence[Where | None]) -> Where | None:
    said = [part for part in parts if part is not None]
    if len(said) < 2:  # noqa: PLR2004 - Chroma refuses $and and $or of fewer than two
        return said[0] if said else None
    return {"$and": said}


def _any_of(parts: Sequence[Where | None]) -> Where | None:
    said = [part for part in parts if part is not None]
    if not said or len(said) < len(parts):
        return None
    return said[0] if len(said) == 1 else {"$or": said}


def _compared(name: str, op: Operator, value: Scalar | tuple[Scalar, ...]) -> Where | None:
    if isinstance(value, tuple):
        return _listed(name, op, value)
    match op:
        case "eq":
            return _listed(name, "in", (value,))
        case "ne":
            return _listed(name, "nin", (value,))
        case "gt" | "gte" | "lt" | "lte":
            return _ordered(name, op, value)
        case _:
            return None


def _listed(name: str, op: Operator, values: Sequence[Scalar]) -> Where | None:
    """Translate `in` and `nin`; Chroma wants the operands of one list to be of one type."""
    operands = [_operand(value) for value in values if not _may_drift(value)]
    by_type = [[o for o in operands if type(o) is kind] for kind in (str, bool, int, float)]
    if op == "nin":
        # A float with a fraction, as an operand, would also rule out the integer it is cut to.
        return _all_of([{name: {"$nin": same}} for same in by_type[:3] if same])
    near = [_near(name, value) for value in values if _is_number(value) and _may_drift(value)]
    return _any_of([*({name: {"$in": same}} for same in by_type if same), *near])


def _operand(value: Scalar) -> str | int | float | bool:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, datetime):
        return stamp(value)
    return int(value) if int(value) == value else value


def _near(name: str, value: float) -> Where | None:
    """Return what holds for all that a number may be stored as; None if that cannot be said."""
    bounds = _bounds(value)
    if bounds is None:
        return None
    return {"$and": [{name: {"$gte": bounds[0]}}, {name: {"$lte": bounds[1]}}]}


def _ordered(name: str, op: Operator, value: Scalar) -> Where | None:
    if isinstance(value, datetime):
        return {name: {f"${op}": stamp(value)}}
    bounds = _bounds(value) if _is_number(value) else None
    if bounds is None:
        return None
    return {name: {"$gte": bounds[0]} if op in {"gt", "gte"} else {"$lte": bounds[1]}}


def _bounds(value: float) -> tuple[int, int] | None:
    """Return the integers around all that a number may be stored as; None if it is too large."""
    if not abs(value) <= EXACT:
        return None
    drift = _DRIFT * math.ulp(value)
    return math.floor(value - drift), math.ceil(value + drift)


def _may_drift(value: Scalar) -> bool:
    """Tell whether a number may be stored, as a float, as a neighbour of itself.

    It is not if its digits and its power of ten are floats, for then one division or product is
    all there is to reading it, and that is rounded rightly (Clinger, "How to read floating point
    numbers accurately", PLDI 1990).
    """
    if not _is_number(value):
        return False
    if not abs(value) <= EXACT:
        return True
    _, digits, exponent = Decimal(repr(float(value))).as_tuple()
    tens = exponent if isinstance(exponent, int) else math.inf
    return int("".join(map(str, digits))) > EXACT or abs(tens) > _EXACT_TENS


def _is_number(value: Scalar) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
