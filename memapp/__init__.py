"""Semantic memory and RAG retrieval over Chroma that stays right under many worker processes."""

import os

# onnxruntime >= 1.29 sends telemetry unless this is set before its import, and a forked child of a
# process that merely imported it then hangs at exit (onnxruntime PR 27379).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The workers are the parallelism. numpy's OpenBLAS shares a product of matrix and vector among all
# cores, and its threads spin while they wait: with 2,000 memories a user, eight clients and four
# workers a search took 16 ms of processor time instead of 2 (numpy 2, two cores).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
