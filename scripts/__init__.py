"""Commands for those who work on memapp."""
