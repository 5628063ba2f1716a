from dataclasses import replace
from datetime import UTC, datetime

from memapp.chroma.document_cache import DocumentCache
from memapp.chroma.document_records import Head
from memapp.chroma.kept_values import Kept
from memapp.records import Chunk, Document

START = datetime(2026, 1, 1, tzinfo=UTC)
DOCUMENT = Document("doc", "kb", "Title", None, {}, 1, 1, 1, "", START, START)
HEAD = Head(DOCUMENT, "00000001-a", "", START, is_atomic=True)


def test_what_was_used_longest_ago_is_dropped_first() -> None:
    kept: Kept[str, str] = Kept(3, len)
    kept.keep({"a": "1", "b": "2", "c": "3"})
    kept.find(["a"])

    kept.keep({"d": "4"})

    assert kept.find("abcd") == {"a": "1", "c": "3", "d": "4"}


def test_a_value_in_place_of_another_takes_only_its_own_room() -> None:
    kept: Kept[str, str] = Kept(3, len)
    kept.keep({"a": "111"})

    kept.keep({"a": "1"})
    kept.keep({"b": "22"})

    assert kept.find("ab") == {"a": "1", "b": "22"}


def test_a_value_larger_than_all_the_room_is_not_kept() -> None:
    kept: Kept[str, str] = Kept(3, len)

    kept.keep({"a": "1111"})

    assert kept.find("a") == {}


def test_no_amount_of_chunks_takes_more_than_some_megabytes() -> None:
    cache = DocumentCache()
    characters = 1000
    for number in range(500):
        cache.chunks.keep({str(number): Chunk(0, 0, characters, "\u4e2d" * characters * 20)})

    held = len(cache.chunks.find(map(str, range(500)))) * characters * 20 * 2

    assert 4_000_000 < held < 16 * 2**20


def test_a_large_tail_and_large_metadata_count() -> None:
    cache = DocumentCache()
    for number in range(300):
        document = replace(DOCUMENT, metadata={"long": "x" * 5000})
        head = replace(HEAD, document=document, tail="y" * 5000)
        cache.heads.keep({str(number): head})

    assert len(cache.heads.find(map(str, range(300)))) < 110
