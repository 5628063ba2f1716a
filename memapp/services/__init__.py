"""What memapp does with memories and documents, ignorant of HTTP and of Chroma."""
