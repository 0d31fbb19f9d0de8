"""`python -m rdae.training ARGUMENTS`, which is `rdae train ARGUMENTS`: a module that torchrun can start."""

import sys

from rdae.cli.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]], prog_name="rdae")
