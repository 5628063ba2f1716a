import json
import os
import time
from pathlib import Path

import pytest

from memapp.errors import InvalidInput
from memapp.readers.apart import MEMORY, read_apart
from memapp.readers.decoding import unreadable
from memapp.records import PageMark, ReadDocument


def echo(content: bytes) -> ReadDocument:
    print("libraries print things")  # noqa: T201
    text = content.decode() + "\ud800"
    return ReadDocument(text, str(os.getpid()), (PageMark(0, 1),), "markdown")


def refuse(content: bytes) -> ReadDocument:
    raise unreadable(f"is {content.decode()}")


def sleep(content: bytes) -> ReadDocument:
    time.sleep(60)
    return ReadDocument(content.decode())


def fill_memory(content: bytes) -> ReadDocument:
    return ReadDocument(str(len(content * MEMORY)))


def tell_environment(_content: bytes) -> ReadDocument:
    return ReadDocument(json.dumps(dict(os.environ)))


def crash(content: bytes) -> ReadDocument:
    os.abort()


def quote(content: bytes) -> ReadDocument:
    raise ValueError("bad token\n" + content.decode())


def here(name: str) -> str:
    return f"{__name__}:{name}"


def test_what_the_function_returns_comes_back_from_another_process() -> None:
    read = read_apart(here("echo"), "Grüße\n".encode())

    assert read.text == "Grüße\n\ufffd"
    assert read.title != str(os.getpid())
    assert (read.pages, read.format) == ((PageMark(0, 1),), "markdown")


@pytest.mark.parametrize(
    ("name", "rule", "logged"),
    [
        ("refuse", "is content", ""),
        ("quote", "is damaged, or takes too much memory", "failed on a file: ValueError"),
        ("fill_memory", "is damaged, or takes too much memory", "failed on a file: MemoryError"),
        ("crash", "is damaged, or takes too much memory", "failed on a file: exit status -6"),
        ("missing", "is damaged", "failed on a file: AttributeError"),
    ],
)
def test_a_file_that_brings_the_reader_down_is_refused(
    name: str, rule: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_apart(here(name), b"content", seconds=60)

    assert caught.value.errors[0].pointer == "/file"
    assert rule in caught.value.errors[0].detail
    assert caplog.text.rstrip().endswith(logged)
    assert "content" not in caplog.text


def test_a_file_that_takes_too_long_is_refused() -> None:
    with pytest.raises(InvalidInput, match="takes longer than 2 seconds"):
        read_apart(here("sleep"), b"content", seconds=2)


def test_no_secret_is_in_the_environment_of_the_process_that_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = {"MEMAPP_API_KEYS", "CHROMA_AUTH_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY"}
    for name in secrets:
        monkeypatch.setenv(name, "secret")

    read = read_apart(here("tell_environment"), b"")

    assert secrets.isdisjoint(json.loads(read.text))


def test_the_process_that_reads_keeps_the_folders_and_the_language_of_this_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folders = dict.fromkeys(("HOME", "TMPDIR", "LD_LIBRARY_PATH"), str(tmp_path))
    kept = {**folders, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)

    read = read_apart(here("tell_environment"), b"")

    assert kept.items() <= json.loads(read.text).items()
