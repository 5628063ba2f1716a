"""Everyone who takes part: each does the same calls in its own way."""
