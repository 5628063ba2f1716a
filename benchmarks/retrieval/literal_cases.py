"""A data set of our own: questions that name something literally, among texts that look alike.

Order numbers, surnames, identifiers and quoted phrases: a vector hardly tells one of them from the
next, so meaning alone misses most. Nothing in it is real.
"""

from itertools import product

from benchmarks.retrieval.data_sets import Collection, Query, Text

_GOODS = ("lamps", "desks", "kettles", "boots", "tents", "mirrors", "rugs")
_CARRIERS = ("the night courier", "the harbour ship", "the morning train", "the regional van")
_STATES = ("sent by", "lost by", "returned to", "held at customs for")
_FIRST_NAMES = ("Anna", "Bela", "Carlos", "Dina", "Emeka", "Farah", "Goran", "Hanne", "Ilya")
_SURNAME_STARTS = ("Wola", "Wole", "Wolo", "Brze", "Brza", "Kwar", "Kwer", "Zelm", "Zolm", "Zulm")
_SURNAME_ENDS = ("novski", "nowska", "nowsky", "mak", "mek", "teng", "tang", "dson", "den", "orin")
_TEAMS = ("billing", "search", "hardware", "legal", "payroll", "design", "security")
_CITIES = ("Oslo", "Lagos", "Lima", "Kyoto", "Porto", "Riga")
_VERBS = ("load", "parse", "merge", "flush")
_OBJECTS = ("user", "token", "index", "ledger", "packet")
_ENDINGS = ("cache", "header", "batch", "lease")
_RETURNS = ("a list", "a number", "nothing", "a date", "true or false")
_ADJECTIVES = ("silver", "hollow", "paper", "amber")
_NOUNS = ("harbour", "orchard", "lantern", "river", "window")
_AUTHORS = ("a sailor", "a baker", "two sisters", "a teacher", "a widow")
_EACH = 8
"""Questions of each kind."""


def literal_cases() -> Collection:
    """Return about 700 short texts and 32 questions; each question has one answer."""
    kinds = {
        "order": _orders(),
        "surname": _surnames(),
        "identifier": _identifiers(),
        "phrase": _phrases(),
    }
    documents = []
    queries = []
    for kind, pairs in kinds.items():
        step = len(pairs) // _EACH - 1
        for number, (text, question) in enumerate(pairs):
            name = f"{kind}-{number}"
            documents.append(Text(name, "", text))
            if number % step == 0 and number // step < _EACH:
                queries.append(Query(name, question, frozenset([name])))
    return Collection("literal", documents, queries)


def _orders() -> list[tuple[str, str]]:
    orders = []
    for index in range(160):
        # 7919 is prime, so the numbers lie far apart and none comes twice.
        number = f"ORD-2024-{index * 7919 % 100000:05d}"
        state, carrier = _STATES[index % 4], _CARRIERS[index // 4 % 4]
        goods = _GOODS[index % 7]
        text = f"Order {number} of {index % 9 + 2} {goods} was {state} {carrier}."
        orders.append((text, f"What happened to order {number}?"))
    return orders


def _surnames() -> list[tuple[str, str]]:
    people = []
    for index, (start, end) in enumerate(product(_SURNAME_STARTS, _SURNAME_ENDS)):
        first, team, city = _FIRST_NAMES[index % 9], _TEAMS[index % 7], _CITIES[index % 6]
        text = f"{first} {start}{end} leads the {team} team in {city}."
        people.append((text, f"Which team does {start}{end} lead?"))
    return people


def _identifiers() -> list[tuple[str, str]]:
    """Each name comes with its parts in three orders, in snake_case or in camelCase."""
    functions = []
    for index, parts in enumerate(product(_VERBS, _OBJECTS, _ENDINGS)):
        for turn in range(3):
            turned = parts[turn:] + parts[:turn]
            is_snake = index % 2 == 0
            camel = turned[0] + "".join(part.title() for part in turned[1:])
            name = "_".join(turned) if is_snake else camel
            text = f"The function {name} returns {_RETURNS[(index + turn) % 5]}."
            functions.append((text, f"What does {name} return?"))
    return functions


def _phrases() -> list[tuple[str, str]]:
    """Each line comes in two orders of the same words."""
    songs = []
    for index, (adjective, noun, other) in enumerate(product(_ADJECTIVES, _NOUNS, _NOUNS)):
        lines = (
            f"the {adjective} {noun} and the {other}",
            f"the {other} and the {adjective} {noun}",
        )
        for turn, line in enumerate(lines):
            text = f"The song with {line} in it was written by {_AUTHORS[(index + turn) % 5]}."
            songs.append((text, f'Who wrote "{line}"?'))
    return songs
