"""What a search of a tile finds."""

from __future__ import annotations

import dataclasses

from rdae.codec.latents import Quantised

DOUBT = 1e-3
"""What must be saved, of the bits, to be believed: less is another encoding, not a better one."""


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """An encoding of a tile: what is coded, ideal bits, and bits + β·distortion."""

    quantised: Quantised
    bits: float
    cost: float


@dataclasses.dataclass(frozen=True, eq=False)
class Refined:
    """What a search of a tile found.

    history: the plain encoding, then the best after each stage that was finished; seconds: how long until each.
    stopped: a listener ended the search.
    """

    history: tuple[Found, ...]
    seconds: tuple[float, ...]
    stopped: bool

    @property
    def plain(self) -> Found:
        """The plain encoding: what the analysis gives, rounded."""
        return self.history[0]

    @property
    def best(self) -> Found:
        """The encoding with the least cost, beyond doubt; the plain one included."""
        return self.history[-1]


def better(cost: float, before: float, bits: float) -> bool:
    """Tell if a cost is less than one before, of an encoding of so many bits, beyond doubt."""
    return cost < before - DOUBT * bits
