"""The ways to reach Chroma; each module has one function, connect(config)."""

from memapp.chroma_import import import_chroma

import_chroma()
