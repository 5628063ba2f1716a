"""Keep memories and documents in Chroma; the only room, with backends, that knows it."""
