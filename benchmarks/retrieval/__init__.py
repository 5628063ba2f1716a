"""How well memapp ranks, measured through its HTTP API: `python -m benchmarks.retrieval FOLDER`."""
