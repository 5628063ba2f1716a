"""Semantic memory and RAG retrieval over Chroma that stays right under many worker processes."""

import os

# onnxruntime >= 1.29 sends telemetry unless this is set before its import, and a forked child of a
# process that merely imported it then hangs at exit (onnxruntime PR 27379).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
