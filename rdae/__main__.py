"""Let `python -m rdae` do what `rdae` does."""

from rdae.cli.main import main

if __name__ == "__main__":
    main(prog_name="rdae")
