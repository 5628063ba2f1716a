"""`python -m benchmarks.retrieval`."""

import signal
import sys

from benchmarks.retrieval.command import main

if __name__ == "__main__":
    # Whoever ends this process must not leave the servers behind that it has started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
