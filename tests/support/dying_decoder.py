"""A decoder that one picture kills, in a module that decoding processes can import."""

import os
import signal

from rdae.training.data.decode import Pixels, decode


def dies_of_three(name: str, data: bytes | None) -> Pixels | None:
    """Decode a picture, but end the process at those with 003 in their name."""
    if "003" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(name, data)
