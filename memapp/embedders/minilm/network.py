"""The network and its tokenizer, as one process holds them.

All that is known of onnxruntime and tokenizers is in here. What makes forked children hang, or
four workers on two cores slow, is switched off; see the comments.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from memapp.embedders.minilm.model_file import ModelFile
from memapp.embedders.unit_length import unit_rows
from memapp.errors import ConfigurationError
from memapp.records import Vectors

DIMENSIONS = 384
_MAXIMUM_TOKENS = 256
# It joins a sum and the normalisation after it into one operator, which takes five times as long:
# two texts of 128 tokens took a float32 network 69 ms with it, 64 without (onnxruntime 1.32).
_SLOWER_FUSIONS = ["SkipLayerNormFusion"]
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


_before_the_fork: "dict[ModelFile, _Loaded]" = {}


def load_before_fork(model: ModelFile) -> None:
    """Load a network for the processes that are forked from now on, which share its memory.

    Each would else hold 20 MB by itself. This process never runs it: only a network that was never
    run crosses a fork, for it holds no lock and has no thread.

    Raises:
        ConfigurationError: as `Network`.
    """
    _before_the_fork[model] = _Loaded(os.getpid(), model.read_tokenizer(), Network(model))


def network_of(model: ModelFile) -> "Network":
    """Return the network that was loaded before this process was forked, or load it.

    To be asked once: a further network is loaded anew, and so is one in a fork of this process.

    Raises:
        ConfigurationError: the file is another one now, or as `Network`.
    """
    loaded = _before_the_fork.get(model)
    if loaded is None or loaded.process == os.getpid():
        return Network(model)
    del _before_the_fork[model]
    if loaded.tokenizer != model.read_tokenizer():
        return Network(model)
    model.verify()
    return loaded.network


class _Loaded(NamedTuple):
    """A network that was never run, with the process that loaded it."""

    process: int
    tokenizer: str
    network: "Network"


class Network:
    """A loaded model. Safe to use from many threads, in one process.

    Besides the file of scripts/build_minilm.py it takes the usual exports of such models:
    int64 inputs, token types, and the hidden state of each token as the first output.
    """

    def __init__(self, model: ModelFile) -> None:
        """Load the file; takes about 0.1 s.

        Raises:
            ConfigurationError: the file is another one now, or no such model.
        """
        # memapp's own __init__ has done this already, unless something imported before it
        # brought onnxruntime along; then nothing helps, but nothing is made worse either.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        # Its threads would compete with the other workers, and it warns after a fork.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

        # Imported here, and not by processes that do not embed.
        import onnxruntime  # noqa: PLC0415
        from onnxruntime.capi import onnxruntime_pybind11_state as faults  # noqa: PLC0415
        from tokenizers import Tokenizer  # noqa: PLC0415

        description = model.read_tokenizer()
        try:
            self._tokenizer = Tokenizer.from_str(description)
        except Exception as error:  # tokenizers raises nothing narrower.
            fault = (
                f"EMBEDDER_MODEL_PATH: tokenizer.json beside {model.path} describes no tokenizer "
                f"({error}); put the one that belongs to the model there"
            )
            raise ConfigurationError(fault) from error
        # The official file asks for 128 tokens and pads every text to 128.
        self._tokenizer.enable_truncation(_MAXIMUM_TOKENS)
        self._tokenizer.no_padding()

        options = onnxruntime.SessionOptions()
        # One thread per session: the workers are the parallelism. More threads that spin while
        # they wait made four processes answer 399 queries/s instead of 1,122 (onnxruntime 1.32).
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model.verify()
        try:
            # By path: then it maps the weights into memory, and all workers share what they read.
            self._session = onnxruntime.InferenceSession(
                model.path,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_SLOWER_FUSIONS,
            )
        except (
            faults.Fail,
            faults.InvalidArgument,
            faults.InvalidGraph,
            faults.InvalidProtobuf,
            faults.NotImplemented,
            faults.RuntimeException,
        ) as error:
            fault = f"EMBEDDER_MODEL_PATH: onnxruntime cannot load {model.path}: {error}"
            raise ConfigurationError(fault) from error
        self._types = {
            node.name: np.int32 if node.type == "tensor(int32)" else np.int64
            for node in self._session.get_inputs()
        }
        self._output = self._session.get_outputs()[0]
        if not self._types.keys() <= _INPUTS or self._output.shape[-1] != DIMENSIONS:
            fault = (
                f"EMBEDDER_MODEL_PATH: {model.path} takes {sorted(self._types)} and gives "
                f"{self._output.shape}; a model like all-MiniLM-L6-v2 takes {sorted(_INPUTS)} and "
                f"gives {DIMENSIONS} numbers; take a file made by scripts/build_minilm.py"
            )
            raise ConfigurationError(fault)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's token numbers, at least two and at most 256, in the same order."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

    def run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """Return one vector per text, in the same order; the batch is padded to its longest."""
        longest = max(len(ids) for ids in tokens)
        padded = np.zeros((len(tokens), longest), dtype=np.int64)
        mask = np.zeros_like(padded)
        for row, ids in enumerate(tokens):
            padded[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        inputs = {
            "input_ids": padded,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(padded),
        }
        feed = {name: inputs[name].astype(kind) for name, kind in self._types.items()}
        # Releases the interpreter's lock while it computes.
        (values,) = self._session.run([self._output.name], feed)
        if values.ndim > padded.ndim:
            values = (values * mask[..., np.newaxis]).sum(axis=1)
        return unit_rows(values, source="the embedder's model")
