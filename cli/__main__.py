"""Let `python -m rdae.cli` do what `rdae` does."""

from .main import main

main(prog_name="rdae")
