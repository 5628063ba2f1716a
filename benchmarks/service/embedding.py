"""Vectors of memapp's default embedder, kept in a folder from run to run."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memapp.embedders import minilm
from memapp.ports import Embedder
from memapp.records import Vectors

_BLOCK = 2000
"""Texts whose vectors share a file."""

_SETTINGS = {"EMBEDDER_MODEL_PATH": "", "EMBEDDER_MODEL_SHA256": "", "EMBEDDING_BATCH_TOKENS": 256}


def embed(texts: Sequence[str], cache: Path) -> Vectors:
    """Return one vector per text, shape (texts, 384), rows of unit length."""
    if not texts:
        return np.empty((0, 384), dtype=np.float32)
    embedder = minilm.create(_SETTINGS)
    blocks = [texts[start : start + _BLOCK] for start in range(0, len(texts), _BLOCK)]
    return np.concatenate([_block(embedder, block, cache / "vectors") for block in blocks])


def _block(embedder: Embedder, texts: Sequence[str], folder: Path) -> Vectors:
    content = "\n".join([str(embedder.identity), *texts])
    path = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.npy"
    if path.exists():
        kept: Vectors = np.load(path)
        return kept
    vectors = embedder.embed_documents(texts)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part.npy")
    np.save(unfinished, vectors)
    unfinished.replace(path)
    return vectors
