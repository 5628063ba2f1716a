"""The library's embedder where the library or the model is missing."""

import importlib.util
from typing import Any

import pytest

from memapp.embedders import sentence_transformers
from memapp.errors import ConfigurationError, EmbedderUnavailable


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is not None,
    reason="the library is installed here",
)
def test_without_the_library_the_message_names_the_command(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="pip install sentence-transformers"):
        sentence_transformers.create(config)


@pytest.mark.usefixtures("sentence_transformers_stand_in")
def test_a_model_that_cannot_be_had_is_named(config: dict[str, Any]) -> None:
    embedder = sentence_transformers.create(config | {"SENTENCE_TRANSFORMERS_MODEL": "missing"})

    with pytest.raises(EmbedderUnavailable, match="'missing' cannot be loaded"):
        embedder.embed_query("a")


@pytest.mark.usefixtures("sentence_transformers_stand_in")
def test_a_text_is_embedded_for_the_first_look_at_the_identity_alone(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = sentence_transformers.create(config)
    first = embedder.identity
    monkeypatch.delattr("sentence_transformers.SentenceTransformer.encode")

    assert embedder.identity == first


@pytest.mark.usefixtures("sentence_transformers_stand_in")
def test_the_identity_names_the_model(config: dict[str, Any]) -> None:
    identity = sentence_transformers.create(config).identity

    assert str(identity) == "sentence-transformers/sentence-transformers/all-MiniLM-L6-v2/256/-"
