"""Keep the heap of a worker small.

By itself glibc gives every thread a heap of its own, and none gives back what is freed in its
middle: four workers held 690 MB after ingesting documents, and 560 with this, at the same speed.
"""

import ctypes

# mallopt(3); the numbers are those of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_small() -> None:
    """Let this process, and those that it forks, have one heap and give back large blocks.

    Does nothing where the C library knows no `mallopt`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 64 * 1024)
        mallopt(_TRIM_THRESHOLD, 128 * 1024)
