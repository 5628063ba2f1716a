"""The model's file and its tokenizer's, and that they are the ones expected."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from memapp.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that was there and right when it was checked.

    Attributes:
        path: The ONNX file; `tokenizer.json` lies beside it.
        sha256: Hex digest of its content.
    """

    path: Path
    sha256: str

    @classmethod
    def check(cls, path: Path, sha256: str) -> Self:
        """Read the file once; `sha256` is what it must have, empty accepts any.

        Raises:
            ConfigurationError: a file is missing, cannot be read, or is another one.
        """
        # 23 MB take about 20 ms; an app with the wrong file must not start.
        found = hashlib.sha256(_content(path)).hexdigest()
        _content(path.parent / "tokenizer.json")
        model = cls(path, sha256 or found)
        model.compare(found)
        return model

    def read(self) -> bytes:
        """Return the model's content, checked again: the file may have changed since.

        Raises:
            ConfigurationError: it cannot be read any more, or is another one now.
        """
        content = _content(self.path)
        self.compare(hashlib.sha256(content).hexdigest())
        return content

    def read_tokenizer(self) -> str:
        """Return the tokenizer's description.

        Raises:
            ConfigurationError: it cannot be read, or is not text.
        """
        path = self.path.parent / "tokenizer.json"
        try:
            return _content(path).decode("utf-8")
        except UnicodeDecodeError as error:
            fault = f"the embedder's tokenizer {path} is not UTF-8; {_MEND}"
            raise ConfigurationError(fault) from error

    def compare(self, found: str) -> None:
        """Refuse a digest that is not this file's.

        Raises:
            ConfigurationError: the digests differ.
        """
        if found != self.sha256:
            fault = (
                f"the embedder's model {self.path} has SHA-256 {found}, but {self.sha256} is "
                f"expected: it is damaged, changed or another one; {_MEND}"
            )
            raise ConfigurationError(fault)


_MEND = (
    "install memapp again, or give the right file in EMBEDDER_MODEL_PATH and its digest in "
    "EMBEDDER_MODEL_SHA256"
)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fault = f"the embedder's file {path} cannot be read ({error.strerror}); {_MEND}"
        raise ConfigurationError(fault) from error
