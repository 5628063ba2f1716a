"""Score texts for a query: pure functions, no I/O."""
