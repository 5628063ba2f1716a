"""all-MiniLM-L6-v2 in float32 on onnxruntime, at its best: no padding, one thread, no spinning."""

import os
from pathlib import Path
from typing import Any

import numpy as np


class FloatEmbedder:
    """The network that `peer_environment` has built; loaded with the first text."""

    def __init__(self, folder: Path) -> None:
        """Take `embedding.onnx` and `tokenizer.json` from `folder`."""
        self._folder = folder
        self._session: Any = None
        self._tokenizer: Any = None

    def embed(self, text: str) -> Any:
        """Return the vector of one text, shape (384,), of unit length."""
        if self._session is None:
            self._load()
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int32)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        return self._session.run(None, inputs)[0][0]

    def _load(self) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime  # noqa: PLC0415 - not every worker embeds
        from tokenizers import Tokenizer  # noqa: PLC0415

        self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(256)
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(self._folder / "embedding.onnx"),
            options,
            providers=["CPUExecutionProvider"],
            # As memapp does: the fused operator is slower.
            disabled_optimizers=["SkipLayerNormFusion"],
        )
