"""The model's file and its tokenizer's, and that they are the ones expected."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from memapp.errors import ConfigurationError

_MEND = (
    "install memapp again, or give the right file in EMBEDDER_MODEL_PATH and its digest in "
    "EMBEDDER_MODEL_SHA256"
)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that was there and right when it was last verified.

    Attributes:
        path: The ONNX file; `tokenizer.json` lies beside it, and `<path>.data` if it keeps its
            weights there.
        sha256: Hex digest of its content, followed by that of `<path>.data` if there is one.
    """

    path: Path
    sha256: str

    @classmethod
    def find(cls, path: Path, sha256: str) -> Self:
        """Read each file once; `sha256` is what the model must have, empty accepts any.

        Raises:
            ConfigurationError: a file is missing, cannot be read, or is another one.
        """
        model = cls(path, sha256 or _sha256(path))
        if sha256:
            model.verify()
        model.read_tokenizer()
        return model

    def verify(self) -> None:
        """Read the file, about 20 ms for 23 MB, and compare its digest.

        Raises:
            ConfigurationError: it is missing, cannot be read, or is another one.
        """
        found = _sha256(self.path)
        if found != self.sha256:
            fault = (
                f"the embedder's model {self.path} has SHA-256 {found}, but {self.sha256} is "
                f"expected: it is damaged, changed or another one; {_MEND}"
            )
            raise ConfigurationError(fault)

    def read_tokenizer(self) -> str:
        """Return the tokenizer's description.

        Raises:
            ConfigurationError: it cannot be read, or is not text.
        """
        path = self.path.parent / "tokenizer.json"
        try:
            return path.read_text("utf-8")
        except OSError as error:
            raise ConfigurationError(_unreadable(path, error)) from error
        except UnicodeDecodeError as error:
            fault = f"the embedder's tokenizer {path} is not text; {_MEND}"
            raise ConfigurationError(fault) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    weights = path.with_name(f"{path.name}.data")
    for part in (path, weights) if weights.exists() else (path,):
        try:
            with part.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        except OSError as error:
            raise ConfigurationError(_unreadable(part, error)) from error
    return digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> str:
    return f"the embedder's file {path} cannot be read ({error.strerror}); {_MEND}"
