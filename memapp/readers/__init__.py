"""Turn files into text, one module a format; each has a `create()` that returns its reader.

They refuse what they cannot read with `InvalidInput` at `/file`, take time and memory in proportion
to the file, and know nothing of chunks or of the store.
"""
