"""Levels of effort: how long an encoder may look for latents that fit a picture better (`rdae.codec.refinement`)."""

MAX_EFFORT = 9
"""0 is the analysis alone, 9 some four hundred steps of descent."""

DEFAULT_EFFORT = 1
"""One step."""


def check_effort(effort: int) -> None:
    """Raise ValueError if a level is no whole number of 0..9."""
    if not hasattr(effort, "__index__") or not 0 <= effort <= MAX_EFFORT:  # as numpy's integers have
        raise ValueError(f"effort {effort}, expected 0 to {MAX_EFFORT}")
