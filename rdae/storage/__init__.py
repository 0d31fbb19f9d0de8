"""Where files are: local ones, the standard streams and URLs, read within bounds and written whole or not at all."""
