"""Use a connection, fork, and use it on both sides; run by `test_processes` as a program.

Usage: python -m tests.chroma.forking_app persistent FOLDER | http PORT
"""

import os
import sys
import threading
from functools import partial

import numpy as np

from memapp.backends import http, persistent
from memapp.chroma.connection import Connection
from memapp.chroma_config import ChromaConfig, Patience
from memapp.records import Vectors

CHILDREN = 2


def vectors(number: int) -> Vectors:
    return np.eye(16, dtype=np.float32)[number : number + 1]


def connect(mode: str, place: str) -> Connection:
    patience = Patience()
    if mode == "http":
        config = ChromaConfig(host="127.0.0.1", port=int(place), patience=patience)
        return Connection(partial(http.connect, config), patience=patience)
    return Connection(partial(persistent.connect, ChromaConfig(path=place)), patience=patience)


def use(connection: Connection, number: int) -> None:
    """Write a record of one's own and find it again by its vector."""
    shelf = connection.ensure("forked", {"kind": "a"})
    shelf.upsert([str(number)], vectors(number), [{"n": number}], [f"record {number}"])
    found = shelf.query(vectors(number)[0], limit=1).documents
    if found != [f"record {number}"]:
        raise AssertionError((number, found))


def be_child(connection: Connection, number: int) -> None:
    for _ in range(3):
        use(connection, number)
    sys.exit(0)  # Like a worker: through atexit and the interpreter's own end.


def fork(connection: Connection, number: int) -> int:
    child = os.fork()
    if child == 0:
        be_child(connection, number)
    return child


def wait_for(child: int) -> None:
    _, status = os.waitpid(child, 0)
    if status != 0:
        message = f"child {child} ended with {status}"
        raise AssertionError(message)


def one_child_at_a_time(connection: Connection) -> None:
    """Fork again and again; the folder belongs to one process at a time."""
    for number in range(1, 1 + CHILDREN):
        use(connection, 0)
        wait_for(fork(connection, number))
    use(connection, 0)


def children_beside_a_busy_parent(connection: Connection) -> None:
    """Fork while other threads use the connection, as a threaded worker would."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def keep_busy(number: int) -> None:
        while not ended.is_set() and not failures:
            try:
                use(connection, number)
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

    threads = [threading.Thread(target=keep_busy, args=(10 + i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    children = [fork(connection, number) for number in range(1, 1 + CHILDREN)]
    for child in children:
        wait_for(child)
    ended.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    mode, place = sys.argv[1:]
    connection = connect(mode, place)
    use(connection, 0)
    if mode == "http":
        children_beside_a_busy_parent(connection)
    one_child_at_a_time(connection)
    sys.stdout.write("both sides work\n")
