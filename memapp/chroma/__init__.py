"""Keep memories and documents in Chroma; the only room, with backends, that knows it."""

from memapp.chroma_import import import_chroma

import_chroma()
