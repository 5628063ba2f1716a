"""Turn files into text, one module per kind of file."""
