"""Turn text into the terms that keyword scoring counts.

Knows English endings, the identifiers of program code and writing without spaces; refuses to know
queries, scores and stores.
"""

import re
import threading
import unicodedata

import Stemmer

from memapp.ranking.identifiers import identifier_parts

# Letters, digits and underscores of any script, with inner apostrophes.
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
# Scripts that are written without spaces between words: Thai to Myanmar, Khmer, kana, bopomofo,
# Han, and Hangul, whose particles stick to the words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u3400-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003134f]+"
)
_COMBINING_MARKS = re.compile("[\u0300-\u036f]")
# Of ASCII, all that `_WORD` never takes.
_ASCII_GAPS = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) in "_'")}

# Snowball's English stop words (https://snowballstem.org/algorithms/english/stop.txt), and a few
# auxiliaries that questions are made of.
STOP_WORDS = frozenset(
    """
    i me my myself we us our ours ourselves you your yours yourself yourselves he him his himself
    she her hers herself it its itself they them their theirs themselves what which who whom this
    that these those am is are was were be been being have has had having do does did doing would
    should could ought a an the and but if or because as until while of at by for with about
    against between into through during before after above below to from up down in out on off over
    under again further then once here there when where why how all any both each few more most
    other some such no nor not only own same so than too very can will just
    i'm you're he's she's it's we're they're i've you've we've they've i'd you'd he'd she'd we'd
    they'd i'll you'll he'll she'll we'll they'll isn't aren't wasn't weren't hasn't haven't hadn't
    doesn't don't didn't won't wouldn't shan't shouldn't can't cannot couldn't mustn't let's that's
    who's what's here's there's when's where's why's how's
    """.split()  # noqa: SIM905 - a list of 200 literals would hide the words
)


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order, folded to what readers take for equal."""
    folded = text if text.isascii() else _fold(text)
    if not folded.isascii():
        return _WORD.findall(folded)
    # What the expression finds, in a third of the time: most texts are read once, but then many.
    pieces = folded.translate(_ASCII_GAPS).split()
    if "'" not in folded:
        return pieces
    return [
        word for piece in pieces for word in (_WORD.findall(piece) if "'" in piece else (piece,))
    ]


def terms_of_word(word: str) -> tuple[str, ...]:
    """Return the terms of one word: none for a stop word, several for an identifier."""
    whole = word.lower().removesuffix("'s").strip("_")
    if not whole or whole in STOP_WORDS:
        return ()
    if _UNSPACED.search(whole):
        return tuple(_bigrams(whole))
    parts = [part.lower() for part in identifier_parts(word.removesuffix("'s"))]
    others = [part for part in parts if part != whole and part not in STOP_WORDS]
    return tuple(map(_stem, [whole, *others]))


def _fold(text: str) -> str:
    """Make equal what readers take for equal: widths, ligatures, accents of Latin and Greek."""
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", _COMBINING_MARKS.sub("", decomposed)).replace("\u2019", "'")


def _bigrams(word: str) -> list[str]:
    """Return overlapping pairs of characters where scripts have no spaces, and what is around."""
    pieces = [piece for piece in _UNSPACED.split(word) if piece]
    for run in _UNSPACED.findall(word):
        pieces += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return pieces


def _stem(word: str) -> str:
    return str(_stemmers.english.stemWord(word)) if word.isascii() else word


class _Stemmers(threading.local):
    """One stemmer per thread: PyStemmer's objects must not be shared between threads."""

    def __init__(self) -> None:
        self.english = Stemmer.Stemmer("english", 0)


_stemmers = _Stemmers()
