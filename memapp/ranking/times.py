"""Find the times that a query mentions: dates, months, years, and words such as `last week`.

English only. A day or month without a year, and relative words, are understood from the day on
which the query is asked.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_MONTH_OF = {name[:3].lower(): number for number, name in enumerate(MONTHS, start=1)}
_MONTH = (
    r"(?P<month>"
    + "|".join(f"{m[:3]}(?:{m[3:]})?" for m in map(str.lower, MONTHS))
    + r"|sept)\b\.?"
)
_DAY = r"\b(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\b"
_YEAR = r"\b(?P<year>(?:19|20)\d\d)\b"
# Without one of these a year is taken for a number, and May or March for a verb.
_BEFORE_A_TIME = (
    r"\b(?P<how>in|of|by|since|during|until|before|after|from|early|mid|late|last|this)"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time: from `start` until just before `end`, both aware, in UTC."""

    start: datetime
    end: datetime


def mentioned_times(query: str, now: datetime | None = None) -> list[Span]:
    """Return the times that a query mentions, each once.

    Args:
        query: A question in English.
        now: When it is asked (aware). Without it only times that need no today are found.
    """
    today = None if now is None else now.astimezone(UTC).date()
    # Ignoring case instead, the patterns would take letters such as U+017F for those of English.
    query = query.lower()
    spans: dict[Span, None] = {}
    for pattern, resolve in _PATTERNS:
        matches = list(pattern.finditer(query))
        for match in matches:
            days = resolve(match, today)
            if days is not None:
                first, last = days
                spans[Span(_midnight(first), _midnight(last))] = None
        if matches:
            query = pattern.sub(" ; ", query)
    return list(spans)


_Days = tuple[date, date]
"""The first day, and the day after the last."""


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _day(day: date) -> _Days:
    return day, day + timedelta(days=1)


def _month(year: int, month: int) -> _Days:
    """Return a month; `month` may lie outside 1..12 and then counts into other years."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    return date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)


def _year(year: int) -> _Days:
    return date(year, 1, 1), date(year + 1, 1, 1)


def _full_date(match: re.Match[str], _: date | None) -> _Days | None:
    return _real_day(int(match["year"]), _month_number(match), int(match["day"]))


def _month_and_year(match: re.Match[str], _: date | None) -> _Days:
    return _month(int(match["year"]), _month_number(match))


def _day_of_any_year(match: re.Match[str], today: date | None) -> _Days | None:
    if today is None:
        return None
    this_year = _real_day(today.year, _month_number(match), int(match["day"]))
    if this_year is None or this_year[0] <= today:
        return this_year
    return _real_day(today.year - 1, _month_number(match), int(match["day"]))


def _month_of_any_year(match: re.Match[str], today: date | None) -> _Days | None:
    if today is None:
        return None
    month = _month_number(match)
    is_past = month < today.month or (month == today.month and match["how"] != "last")
    return _month(today.year if is_past else today.year - 1, month)


def _year_alone(match: re.Match[str], _: date | None) -> _Days:
    return _year(int(match["year"]))


def _named_day(match: re.Match[str], today: date | None) -> _Days | None:
    if today is None:
        return None
    return _day(today - timedelta(days=match[0] == "yesterday"))


def _this_or_last(match: re.Match[str], today: date | None) -> _Days | None:
    if today is None:
        return None
    back = match["how"] == "last"
    match match["unit"]:
        case "year":
            return _year(today.year - back)
        case "month":
            return _month(today.year, today.month - back)
        case "weekend":
            saturday = today - timedelta(days=(today.weekday() - 5) % 7)
            return saturday, saturday + timedelta(days=2)
        case _:
            monday = today - timedelta(days=today.weekday() + 7 * back)
            return monday, monday + timedelta(days=7)


def _weekday(match: re.Match[str], today: date | None) -> _Days | None:
    if today is None:
        return None
    days_ago = (today.weekday() - _WEEKDAYS.index(match["weekday"])) % 7 or 7
    return _day(today - timedelta(days=days_ago))


def _ago(match: re.Match[str], today: date | None) -> _Days | None:
    if today is None:
        return None
    word = match["number"]
    number = 1 if word in {"a", "an"} else int(word) if word.isdigit() else _NUMBERS.index(word)
    match match["unit"]:
        case "year":
            return _year(today.year - number)
        case "month":
            return _month(today.year, today.month - number)
        case "week":
            middle = today - timedelta(weeks=number)
            return middle - timedelta(days=3), middle + timedelta(days=4)
        case _:
            return _day(today - timedelta(days=number))


def _month_number(match: re.Match[str]) -> int:
    month = match["month"]
    return int(month) if month.isdigit() else _MONTH_OF[month[:3]]


def _real_day(year: int, month: int, day: int) -> _Days | None:
    try:
        return _day(date(year, month, day))
    except ValueError:
        return None


# The fullest form comes first; what it took, the later ones do not see.
_PATTERNS: list[tuple[re.Pattern[str], Callable[[re.Match[str], date | None], _Days | None]]] = [
    (re.compile(pattern), resolve)
    for pattern, resolve in (
        (rf"{_YEAR}-(?P<month>0[1-9]|1[0-2])-(?P<day>[0-3]\d)\b", _full_date),
        (rf"{_YEAR}-(?P<month>0[1-9]|1[0-2])\b", _month_and_year),
        (rf"{_DAY}(?: of)? {_MONTH},? *{_YEAR}", _full_date),
        (rf"\b{_MONTH} {_DAY},? *{_YEAR}", _full_date),
        (rf"\b{_MONTH},? *(?:of *)?{_YEAR}", _month_and_year),
        (rf"{_DAY}(?: of)? {_MONTH}", _day_of_any_year),
        (rf"\b{_MONTH} {_DAY}", _day_of_any_year),
        (rf"{_BEFORE_A_TIME} {_MONTH}", _month_of_any_year),
        (rf"{_BEFORE_A_TIME} (?:the )?(?:year )?{_YEAR}", _year_alone),
        (r"\b(?:today|yesterday)\b", _named_day),
        (r"\b(?P<how>this|last) (?P<unit>weekend|week|month|year)\b", _this_or_last),
        (rf"\b(?:last|on) (?P<weekday>{'|'.join(_WEEKDAYS)})\b", _weekday),
        (
            rf"\b(?P<number>an?|\d{{1,3}}|{'|'.join(_NUMBERS[1:])}) "
            r"(?P<unit>day|week|month|year)s? ago\b",
            _ago,
        ),
    )
]
