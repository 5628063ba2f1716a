"""The ways to reach Chroma; each module has one function, connect(config)."""
