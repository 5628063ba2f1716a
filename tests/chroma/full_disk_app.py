"""Fill the disk under an embedded Chroma and make room again; run by `test_damage` as a program.

A limit on the size of files stands for the disk. Usage: python -m tests.chroma.full_disk_app FOLDER
"""

import resource
import signal
import sys

import numpy as np

from memapp.chroma.collection import Collection
from memapp.errors import StoreUnavailable
from tests.chroma.forking_app import connect

BATCH = 200


def write(shelf: Collection, number: int) -> None:
    vectors = np.random.default_rng(number).normal(size=(BATCH, 384)).astype(np.float32)
    ids = [f"{number}-{i}" for i in range(BATCH)]
    shelf.add(ids, vectors, [{"n": number}] * BATCH, ["some text " * 50] * BATCH)


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    connection = connect("persistent", sys.argv[1])
    shelf = connection.ensure("shelf", {"kind": "a"})
    write(shelf, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, most))
    for number in range(1, 4):
        try:
            write(shelf, number)
        except StoreUnavailable as error:
            sys.stdout.write(f"{error}\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    write(shelf, 4)
    stored = shelf.get(include=["embeddings"])
    missing = {f"{number}-{i}" for number in (0, 4) for i in range(BATCH)} - set(stored.ids)
    sys.stdout.write(f"missing: {len(missing)}\n")
