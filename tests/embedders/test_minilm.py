"""The default embedder's quality, its file, and what it refuses."""

import hashlib
import json
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memapp.embedders import minilm
from memapp.errors import ConfigurationError
from memapp.records import EmbedderIdentity
from tests.embedders.conftest import HERE, PACKAGED


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the packaged model, its weights and its tokenizer beside it."""
    for name in ("model.onnx", "model.onnx.data", "tokenizer.json"):
        (tmp_path / name).write_bytes((PACKAGED / name).read_bytes())
    return tmp_path / "model.onnx"


def test_vectors_are_near_those_of_the_float32_network(config: dict[str, Any]) -> None:
    texts = json.loads((HERE / "minilm_texts.json").read_text("utf-8"))
    expected = np.load(HERE / "minilm_reference.npz")["vectors"]

    cosines = (minilm.create(config).embed_documents(texts) * expected).sum(axis=1)

    assert len(texts) >= 40
    assert cosines.min() >= 0.99
    assert cosines.mean() >= 0.996


def test_a_paraphrase_is_nearer_than_another_matter(config: dict[str, Any]) -> None:
    embedder = minilm.create(config)
    documents = embedder.embed_documents(
        ["A fast auburn fox leapt above a sleepy hound.", "The board approved the merger in June."]
    )

    paraphrase, other = documents @ embedder.embed_query("The quick brown fox jumps over a dog.")

    assert paraphrase > 0.6
    assert other < 0.2


def test_text_beyond_256_tokens_is_cut_off(config: dict[str, Any]) -> None:
    embedder = minilm.create(config)
    start = "word " * 254

    within, beyond = embedder.embed_documents([start, start + "Maria moved to Lisbon."])

    np.testing.assert_allclose(within, beyond, atol=1e-6)


def test_text_beyond_the_tokenizers_own_128_tokens_counts(config: dict[str, Any]) -> None:
    embedder = minilm.create(config)
    start = "word " * 200

    short, longer = embedder.embed_documents([start, start + "Maria moved to Lisbon."])

    assert short @ longer < 0.99


def test_the_identity_names_the_packaged_file(config: dict[str, Any]) -> None:
    assert minilm.create(config).identity == EmbedderIdentity(
        "minilm", "all-MiniLM-L6-v2", 384, minilm.MODEL_SHA256[:12]
    )


def test_another_file_has_another_identity(config: dict[str, Any], stand_in_folder: Path) -> None:
    other = config | {"EMBEDDER_MODEL_PATH": str(stand_in_folder / "model.onnx")}

    assert minilm.create(other).identity != minilm.create(config).identity


def test_other_weights_have_another_identity(config: dict[str, Any], copied: Path) -> None:
    config |= {"EMBEDDER_MODEL_PATH": str(copied)}
    identity = minilm.create(config).identity

    _damage(copied.with_name("model.onnx.data"), "altered")

    assert minilm.create(config).identity != identity


def test_a_copy_of_the_packaged_file_has_its_identity(config: dict[str, Any], copied: Path) -> None:
    packaged = minilm.create(config)
    config |= {"EMBEDDER_MODEL_PATH": str(copied), "EMBEDDER_MODEL_SHA256": minilm.MODEL_SHA256}

    assert minilm.create(config).identity == packaged.identity


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data"])
@pytest.mark.parametrize("damage", ["altered", "truncated"])
def test_a_damaged_packaged_file_is_refused_at_the_start(
    damage: str, name: str, config: dict[str, Any], copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _damage(copied.with_name(name), damage)
    monkeypatch.setattr(minilm, "_PACKAGED", copied)

    with pytest.raises(ConfigurationError) as refusal:
        minilm.create(config)

    message = str(refusal.value)
    assert str(copied) in message
    assert minilm.MODEL_SHA256 in message
    assert "EMBEDDER_MODEL_PATH" in message


@pytest.mark.parametrize("sha256", ["", minilm.MODEL_SHA256])
def test_each_file_of_a_model_is_read_once_at_the_start(
    config: dict[str, Any], copied: Path, monkeypatch: pytest.MonkeyPatch, sha256: str
) -> None:
    read: list[str] = []
    digest = hashlib.file_digest

    def noted(file: BufferedReader, of: Any) -> Any:
        read.append(Path(file.name).name)
        return digest(file, of)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    minilm.create(config | {"EMBEDDER_MODEL_PATH": str(copied), "EMBEDDER_MODEL_SHA256": sha256})

    assert read == ["model.onnx", "model.onnx.data"]


def test_a_file_without_the_digest_asked_for_is_refused(
    config: dict[str, Any], copied: Path
) -> None:
    config |= {"EMBEDDER_MODEL_PATH": str(copied), "EMBEDDER_MODEL_SHA256": "0" * 64}

    with pytest.raises(ConfigurationError, match=r"0{64} is expected"):
        minilm.create(config)


def test_a_file_exchanged_after_the_start_is_refused(config: dict[str, Any], copied: Path) -> None:
    embedder = minilm.create(config | {"EMBEDDER_MODEL_PATH": str(copied)})
    _damage(copied, "altered")

    with pytest.raises(ConfigurationError, match="is damaged, changed or another one"):
        embedder.embed_query("anything")


def test_a_refused_file_is_used_once_it_is_mended(config: dict[str, Any], copied: Path) -> None:
    embedder = minilm.create(config | {"EMBEDDER_MODEL_PATH": str(copied)})
    content = copied.read_bytes()
    _damage(copied, "truncated")
    with pytest.raises(ConfigurationError):
        embedder.embed_query("anything")

    copied.write_bytes(content)

    assert embedder.embed_query("anything").shape == (384,)


def test_a_file_that_is_no_model_is_refused(config: dict[str, Any], copied: Path) -> None:
    copied.write_bytes(b"no model")
    embedder = minilm.create(config | {"EMBEDDER_MODEL_PATH": str(copied)})

    with pytest.raises(ConfigurationError, match="EMBEDDER_MODEL_PATH: onnxruntime cannot load"):
        embedder.embed_query("anything")


def test_a_model_of_another_kind_is_refused(config: dict[str, Any], stand_in_folder: Path) -> None:
    model = stand_in_folder / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"token_type_ids", b"token_type_odd"))
    embedder = minilm.create(config | {"EMBEDDER_MODEL_PATH": str(model)})

    with pytest.raises(ConfigurationError, match=r"token_type_odd.*take a file made by"):
        embedder.embed_query("anything")


def test_a_model_without_its_weights_is_refused(config: dict[str, Any], copied: Path) -> None:
    copied.with_name("model.onnx.data").unlink()
    embedder = minilm.create(config | {"EMBEDDER_MODEL_PATH": str(copied)})

    with pytest.raises(ConfigurationError, match=r"cannot load.*model\.onnx\.data"):
        embedder.embed_query("anything")


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(missing: str, config: dict[str, Any], copied: Path) -> None:
    path = copied.parent / missing
    path.unlink()

    with pytest.raises(ConfigurationError, match="No such file") as refusal:
        minilm.create(config | {"EMBEDDER_MODEL_PATH": str(copied)})

    assert str(path) in str(refusal.value)


def test_a_tokenizer_that_is_not_text_is_refused(config: dict[str, Any], copied: Path) -> None:
    (copied.parent / "tokenizer.json").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigurationError, match="is not text"):
        minilm.create(config | {"EMBEDDER_MODEL_PATH": str(copied)})


def _damage(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if damage == "truncated":
        del content[middle:]
    else:
        content[middle] ^= 1
    path.write_bytes(content)
