"""The command line: one file per command, each of which parses, calls the library and prints, nothing else.

Installed as rdae.cli. Results go to stdout; progress, notes and errors to stderr. No module here imports
numpy or another heavy library at its top, so that `rdae --help` answers at once.
"""
